"""What step code sees of the documents: `context` and its documents."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from typing import Any, SupportsIndex

from rlm_rs.sandbox import regex as regexes
from rlm_rs.sandbox.hidden import conceal
from rlm_rs.sandbox.ledger import checked_tag
from rlm_rs.sandbox.limits import ToolRefused
from rlm_rs.sandbox.regex import Regex, Span
from rlm_rs.sandbox.shelf import Place, Shelf, Source

MAX_HITS = 20
"""Hits that `doc.find` and `doc.regex` return unless told otherwise."""

MAX_CONTEXT_HITS = 200
"""Hits that `context.find` and `context.regex` return unless told otherwise, `MAX_HITS` per document."""


class Hits(list[Any]):
    """A list of hits. `complete` is False when there are more than were asked for. Can be awaited."""

    complete = True

    def __await__(self) -> Generator[Any, None, Any]:
        return self
        yield  # an awaitable is a generator function that need not wait


class DocView:
    """One document: slices are str and are logged, searches return offsets.

    `doc[a:b]`, `len(doc)`, `term in doc`, iteration by line, and the methods of str that read (lower, split,
    count, …), which take the whole text and are refused where it is too long for a step's memory.
    """

    __slots__ = ("__weakref__", "_source")

    def __len__(self) -> int:
        return source_of(self).length

    def __getitem__(self, key: slice | SupportsIndex) -> str:
        if not isinstance(key, slice):
            return self._char(operator.index(key))
        if key.step not in (None, 1):
            raise ValueError("a document is sliced with step 1 only")
        source = source_of(self)
        return source.read(*source.bounds(key.start, key.stop))

    def _char(self, index: int) -> str:
        source = source_of(self)
        at = index + source.length if index < 0 else index
        if not 0 <= at < source.length:
            raise IndexError(f"character {index} of a document of {source.length}")
        return source.read(at, at + 1)

    def __iter__(self) -> Iterator[str]:
        return source_of(self).lines()

    def __contains__(self, term: object) -> bool:
        source = source_of(self)
        return next(source.find(_term(term), 0, source.length), None) is not None

    def __str__(self) -> str:
        return source_of(self).read(0, len(self))

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __add__(self, other: object) -> str:
        return str(self) + str(other)

    def __radd__(self, other: object) -> str:
        return str(other) + str(self)

    def __repr__(self) -> str:
        return f"<document {self.doc_index} {self.name!r}, {len(self):,} characters>"

    def __copy__(self) -> DocView:
        return self

    def __deepcopy__(self, _memo: object) -> DocView:
        return self

    def __getattr__(self, name: str) -> Any:
        if name in READING_METHODS:
            return getattr(str(self), name)
        raise AttributeError(f"a document has no {name!r}; it has {DOCUMENT_NAMES}")

    @property
    def name(self) -> str:
        """The name of its source, usually the file."""
        return source_of(self).document.info.get("name", "")

    @property
    def doc_id(self) -> str:
        """Its id in the session."""
        return source_of(self).document.info.get("doc_id", "")

    @property
    def mime_type(self) -> str:
        """Its type as found."""
        return source_of(self).document.info.get("mime_type", "")

    @property
    def doc_index(self) -> int:
        """Its place in `context`: `context[doc.doc_index] is doc`."""
        return source_of(self).position

    @property
    def page_count(self) -> int:
        """Pages, 0 where the format has none."""
        return source_of(self).document.page_count

    @property
    def text(self) -> str:
        """The whole text, logged as read."""
        return str(self)

    def read(self, start: int = 0, end: int | None = None) -> str:
        """The whole text, or a range of it."""
        return self.slice(start, end)

    def slice(self, start: int | None = None, end: int | None = None, tag: str | None = None) -> str:
        """Characters `[start, end)`, logged with `tag`. `context` and `context:…` mark results to return."""
        source = source_of(self)
        return source.read(*source.bounds(start, end), checked_tag(tag))

    def find(
        self,
        term: str,
        start: int | None = None,
        end: int | None = None,
        max_hits: int | None = MAX_HITS,
        *,
        ignore_case: bool = False,
    ) -> Any:
        """Places of a literal term as `{"start_char", "end_char"}`. Overlapping ones count.

        `ignore_case` compares by Unicode full case folding, so "STRASSE" finds "Straße".
        """
        source = source_of(self)
        spans = source.find(_term(term), *source.bounds(start, end), ignore_case=ignore_case)
        return _offsets(spans, max_hits)

    def regex(
        self,
        pattern: Any,
        start: int | None = None,
        end: int | None = None,
        max_hits: int | None = MAX_HITS,
        *,
        flags: int = 0,
        ignore_case: bool = False,
    ) -> Hits:
        """Matches as `{"start_char", "end_char"}`, as `re.finditer` finds them in `doc[start:end]`."""
        source = source_of(self)
        compiled = regex_of(pattern, flags, ignore_case)
        return _offsets(source.regex(compiled, *source.bounds(start, end)), max_hits)

    def sections(self) -> list[dict[str, Any]]:
        """Headings as nested `{title, level, start_char, end_char, page, children}`, within this view."""
        structure = source_of(self).document.structure.get("structure") or {}
        return self._within(structure.get("sections") or structure.get("children") or [])

    def page_spans(self) -> list[dict[str, Any]]:
        """Pages as `{page_num, start_char, end_char}`."""
        return self._within(source_of(self).document.structure.get("pages") or [])

    def tables(self) -> list[dict[str, Any]]:
        """Tables as `{start_char, end_char, page, rows, cols}`."""
        return self._within(source_of(self).document.structure.get("tables") or [])

    def _within(self, ranges: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        source = source_of(self)
        return [moved for item in ranges if (moved := _moved(item, source))]

    def cite(self, start: int, end: int, note: str | None = None) -> str:
        """Name `[start, end)` as evidence. Returns the mark to put into the answer, like "[1]"."""
        source = source_of(self)
        if not source.citable:
            raise ValueError("this text was handed to the step and is no document, so it cannot be cited")
        first, last = operator.index(start), operator.index(end)
        if not 0 <= first < last <= source.length:
            raise ValueError(f"cannot cite [{first}, {last}): the document has {source.length} characters")
        return source.cite(first, last, None if note is None else str(note))


source_of: Callable[[Any], Source]
_put_source: Callable[[Any, Source], None]
source_of, _put_source = conceal(DocView, "_source")

READING_METHODS = frozenset(name for name in dir(str) if not name.startswith("_"))
"""What a document does as its text does it."""

DOCUMENT_NAMES = (
    "name, doc_id, doc_index, mime_type, page_count, text, read, slice, find, regex, sections, page_spans, "
    "tables, cite"
)


def document_view(source: Source) -> DocView:
    """The view of a document."""
    return shown_as(DocView, source)


def shown_as(kind: type[DocView], source: Source) -> DocView:
    """A view of that class over a source."""
    view = kind()
    _put_source(view, source)
    return view


class ContextView:
    """All documents: `len(context)`, `context[i]`, slices, iteration, and searches over all of them at once.

    `context["name"]` finds a document by its name or id. Hits carry `doc_index`, the place in `context`.
    """

    __slots__ = ("_searcher", "_shelf")

    def __len__(self) -> int:
        return len(shelf_of(self))

    def __getitem__(self, key: Any) -> Any:
        shelf = shelf_of(self)
        if isinstance(key, slice):
            return [shelf.at(position) for position in range(*key.indices(len(shelf)))]
        if isinstance(key, str):
            return self._named(key)
        position = operator.index(key)
        if not -len(shelf) <= position < len(shelf):
            raise IndexError(f"there are {len(shelf)} documents, context[0] to context[{len(shelf) - 1}]")
        return shelf.at(position % len(shelf))

    def _named(self, name: str) -> Any:
        for document in self:
            if name in (document.name, document.doc_id):
                return document
        raise KeyError(f"no document is named {name!r}; see [doc.name for doc in context]")

    def __iter__(self) -> Iterator[Any]:
        shelf = shelf_of(self)
        return map(shelf.at, range(len(shelf)))

    def __repr__(self) -> str:
        return f"<{len(self)} documents>"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"context is the list of documents and has no {name!r}; it has find, regex and search. "
            f"One document is context[i], with {DOCUMENT_NAMES}"
        )

    def find(
        self,
        term: str,
        *,
        ignore_case: bool = False,
        max_hits: int | None = MAX_CONTEXT_HITS,
        per_document: int | None = MAX_HITS,
        preview: int = 0,
    ) -> Hits:
        """Places of a term in all documents as `{"doc_index", "start_char", "end_char"}`.

        `preview` adds that many characters around each hit, which are logged as read.
        """
        places = shelf_of(self).find(_term(term), ignore_case=ignore_case, per_document=_count(per_document))
        return self._hits(places, max_hits, preview)

    def regex(
        self,
        pattern: Any,
        *,
        flags: int = 0,
        ignore_case: bool = False,
        max_hits: int | None = MAX_CONTEXT_HITS,
        per_document: int | None = MAX_HITS,
        preview: int = 0,
    ) -> Hits:
        """Matches in all documents, each searched alone; hits and `preview` as with `find`."""
        compiled = regex_of(pattern, flags, ignore_case)
        return self._hits(
            shelf_of(self).regex(compiled, per_document=_count(per_document)), max_hits, preview
        )

    def search(self, query: str, k: int = 10, filters: dict[str, Any] | None = None) -> Any:
        """The `k` best passages for a query in words, from the search index."""
        return _searcher_of(self)(query, k, filters)

    def _hits(self, places: Iterator[Place], max_hits: int | None, preview: int) -> Hits:
        hits = _taken(places, max_hits)
        hits[:] = [self._hit(place, preview) for place in hits]
        return hits

    def _hit(self, place: Place, preview: int) -> dict[str, Any]:
        hit: dict[str, Any] = {"doc_index": place.position, "start_char": place.start, "end_char": place.end}
        if preview:
            source = shelf_of(self).source(place.position)
            first, last = max(0, place.start - preview), min(source.length, place.end + preview)
            hit["preview"] = source.read(first, last)
        return hit


shelf_of: Callable[[Any], Shelf]
_put_shelf: Callable[[Any, Shelf], None]
shelf_of, _put_shelf = conceal(ContextView, "_shelf")
_searcher_of: Callable[[Any], Callable[..., Any]]
_put_searcher: Callable[[Any, Callable[..., Any]], None]
_searcher_of, _put_searcher = conceal(ContextView, "_searcher")


def context_view(
    shelf: Shelf, searcher: Callable[..., Any], kind: type[ContextView] = ContextView
) -> ContextView:
    """The view of all documents; `searcher` answers `context.search`."""
    view = kind()
    _put_shelf(view, shelf)
    _put_searcher(view, searcher)
    return view


def regex_of(pattern: Any, flags: int = 0, ignore_case: bool = False) -> Regex:
    """The compiled form of a pattern given as text or as a compiled pattern. Raises `re.error`."""
    if isinstance(pattern, str):
        return regexes.regex(str(pattern), int(flags) | (re.IGNORECASE if ignore_case else 0))
    if isinstance(getattr(pattern, "pattern", None), str):
        return regexes.regex(
            pattern.pattern, pattern.flags & ~re.UNICODE | (re.IGNORECASE if ignore_case else 0)
        )
    raise TypeError(f"a pattern is a string, not {type(pattern).__name__}")


def _term(term: object) -> str:
    if not isinstance(term, str):
        raise TypeError(f"what to find is a string, not {type(term).__name__}")
    if not term:
        raise ValueError("what to find is empty")
    return str(term)


def _count(value: int | None) -> int | None:
    if value is not None and operator.index(value) < 0:
        raise ToolRefused("a number of hits is 0 or more, or None for all")
    return value


def _taken(found: Iterator[Any], max_hits: int | None) -> Hits:
    hits = Hits(islice(found, _count(max_hits)))
    hits.complete = next(found, None) is None
    return hits


def _offsets(spans: Iterator[Span], max_hits: int | None) -> Hits:
    hits = _taken(spans, max_hits)
    hits[:] = [{"start_char": start, "end_char": end} for start, end in hits]
    return hits


def _moved(item: dict[str, Any], source: Source) -> dict[str, Any] | None:
    """A range of the structure as the window shows it; None if it lies outside."""
    start = max(item["start_char"], source.start) - source.start
    end = min(item["end_char"], source.end) - source.start
    if end < start or (end == start and item["end_char"] > item["start_char"]):
        return None
    moved = item | {"start_char": start, "end_char": end}
    if "children" in item:
        moved["children"] = [child for each in item["children"] if (child := _moved(each, source))]
    return moved
