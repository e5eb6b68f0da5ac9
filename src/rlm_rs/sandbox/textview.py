"""`context` as text, for models trained on prompts in which the context is one long string.

A text view is a document that answers like a str: `find` gives an offset, `isinstance(context, str)` is true,
`+`, `in`, `==`, `split` and the rest work. It is not a str underneath, so C functions that insist on one
(`"".join`, `json.dumps`) refuse it with an error instead of silently seeing nothing; `str(context)` is its
text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rlm_rs.sandbox.context import ContextView, DocView, context_view, shown_as, source_of
from rlm_rs.sandbox.hidden import conceal
from rlm_rs.sandbox.shelf import Shelf, Source


class TextView(DocView):
    """One document as its text."""

    __slots__ = ("_searcher",)

    @property
    def __class__(self) -> type:
        """Says str, so that code asking what kind of context it has gets the answer it was trained on."""
        return str

    @__class__.setter
    def __class__(self, _kind: type) -> None:
        raise TypeError("the class of a text cannot be changed")

    def __repr__(self) -> str:
        return f"<text {self.name!r}, {len(self):,} characters>"

    def __copy__(self) -> TextView:
        return self

    def __deepcopy__(self, _memo: object) -> TextView:
        return self

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return type(other) is str and len(other) == len(self) and str(self) == other

    def __hash__(self) -> int:
        return id(self)

    def __mod__(self, values: Any) -> str:
        return str.__mod__(str(self), values)

    def find(  # type: ignore[override]
        self, term: str, start: int | None = None, end: int | None = None
    ) -> int:
        """Where `term` first occurs in `[start, end)`, or -1, like `str.find`."""
        first, last = self._adjusted(start, end)
        if not term or first > last:
            return first if first <= last else -1
        return next((at for at, _ in source_of(self).find(str(term), first, last)), -1)

    def search(self, query: str, k: int = 10, filters: dict[str, Any] | None = None) -> Any:
        """The `k` best passages of all documents for a query in words, from the search index."""
        try:
            searcher = _searcher_of(self)
        except AttributeError:
            raise AttributeError("one text is not searched alone; use search(query)") from None
        return searcher(query, k, filters)

    def _adjusted(self, start: int | None, end: int | None) -> tuple[int, int]:
        """The bounds as the methods of str take them: a start beyond the end finds not even nothing."""
        first, last, _ = slice(start, end).indices(len(self))
        return max(first, start or 0), last

    def index(self, term: str, start: int | None = None, end: int | None = None) -> int:
        """As `find`, but ValueError when there is none."""
        at = self.find(term, start, end)
        if at < 0:
            raise ValueError("substring not found")
        return at

    def rfind(self, term: str, start: int | None = None, end: int | None = None) -> int:
        """Where `term` last occurs in `[start, end)`, or -1."""
        first, last = self._adjusted(start, end)
        if not term or first > last:
            return last if first <= last else -1
        return source_of(self).rfind(str(term), first, last)

    def count(self, term: str, start: int | None = None, end: int | None = None) -> int:
        """How often `term` occurs without overlap."""
        first, last = self._adjusted(start, end)
        if not term or first > last:
            return max(last - first + 1, 0)
        found, free = 0, first
        for at, stop in source_of(self).find(str(term), first, last):
            if at >= free:
                found, free = found + 1, stop
        return found

    def startswith(self, prefix: Any, start: int | None = None, end: int | None = None) -> bool:
        """Whether the text begins so."""
        first, last = self._adjusted(start, end)
        return first <= last and self[first : min(last, first + _longest(prefix))].startswith(prefix)

    def endswith(self, suffix: Any, start: int | None = None, end: int | None = None) -> bool:
        """Whether the text ends so."""
        first, last = self._adjusted(start, end)
        return first <= last and self[max(first, last - _longest(suffix)) : last].endswith(suffix)


_searcher_of: Callable[[Any], Callable[..., Any]]
_put_searcher: Callable[[Any, Callable[..., Any]], None]
_searcher_of, _put_searcher = conceal(TextView, "_searcher")


class TextsView(ContextView):
    """Several documents as a list of their texts."""

    __slots__ = ()

    @property
    def __class__(self) -> type:
        """Says list, for the same reason as a text says str."""
        return list

    @__class__.setter
    def __class__(self, _kind: type) -> None:
        raise TypeError("the class of the context cannot be changed")

    def __repr__(self) -> str:
        return f"<list of {len(self)} texts>"


def text_view(source: Source) -> DocView:
    """The view of a document as text."""
    return shown_as(TextView, source)


def text_context(shelf: Shelf, searcher: Callable[..., Any]) -> Any:
    """`context` as text: the one text, or the list of them."""
    if len(shelf) != 1:
        return context_view(shelf, searcher, TextsView)
    text = shelf.at(0)
    _put_searcher(text, searcher)
    return text


def _longest(parts: Any) -> int:
    return max(map(len, parts), default=0) if isinstance(parts, tuple) else len(parts)
