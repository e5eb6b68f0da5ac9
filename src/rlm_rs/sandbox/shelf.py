"""The documents of one step behind its views: bounds, windows, and everything logged as it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from rlm_rs.sandbox import scan
from rlm_rs.sandbox.corpus import Document, MappedCorpus, MemoryDocument
from rlm_rs.sandbox.ledger import SCAN_FIND, SCAN_REGEX, Ledger, Read
from rlm_rs.sandbox.limits import READ_CHARS_PER_MB, Ending, LimitExceeded
from rlm_rs.sandbox.protocol import StepRequest, View
from rlm_rs.sandbox.regex import Regex, Span
from rlm_rs.sandbox.text import Text

WHOLE_CORPUS = -1
"""The `doc_index` of a search over all documents."""

LINE_PIECE = 1 << 16
"""Characters read at a time when code goes through a document line by line."""


class Source:
    """One document, or a window of one, with the ledger that its reads go to.

    Offsets are relative to the window and must be within it; the ledger gets absolute ones. `doc_index` is
    negative for a text that came with the request: its reads are not logged, since it cannot be cited.
    """

    __slots__ = ("_ending", "_ledger", "_read_chars", "doc_index", "document", "end", "position", "start")

    def __init__(
        self, position: int, view: View, document: Document, ledger: Ledger, ending: Ending, read_chars: int
    ) -> None:
        self.position = position
        self.doc_index = view.doc_index
        self.document = document
        self.start = min(view.start_char, document.length)
        self.end = document.length if view.end_char is None else min(view.end_char, document.length)
        self._ledger = ledger
        self._ending = ending
        self._read_chars = read_chars

    @property
    def length(self) -> int:
        """Characters in the window."""
        return max(self.end - self.start, 0)

    @property
    def text(self) -> Text:
        """The text of the whole document."""
        return self.document.text

    @property
    def citable(self) -> bool:
        """Whether it is a document of the session."""
        return self.doc_index >= 0

    def bounds(self, start: int | None, end: int | None) -> tuple[int, int]:
        """Python's slice bounds, `end` never before `start`."""
        first, last, _ = slice(start, end).indices(self.length)
        return first, max(first, last)

    def read(self, start: int, end: int, tag: str | None = None) -> str:
        """Characters `[start, end)`, logged. Raises `LimitExceeded` for more than a step can hold."""
        self._ending.check()
        if end - start > self._read_chars:
            raise LimitExceeded(
                f"that would read {end - start:,} characters at once; at most {self._read_chars:,} fit. "
                "Read a range, or search with find and regex, which need no memory."
            )
        if self.citable:
            self._ledger.read(self.doc_index, self.start + start, self.start + end, tag)
        return self._traced(start, end)

    def hit_text(self, start: int, end: int) -> str:
        """The text of a search hit: logged as read while the log has room."""
        if self.citable:
            self._ledger.read_if_room(self.doc_index, self.start + start, self.start + end)
        return self._traced(start, end)

    def _traced(self, start: int, end: int) -> str:
        text = self.peek(start, end)
        if self.citable:
            self._ledger.remember(text, self.doc_index, self.start + start)
        return text

    def peek(self, start: int, end: int) -> str:
        """Characters `[start, end)` for comparison: never shown to code, so not logged."""
        return self.text.read(self.start + start, self.start + end)

    def scanned(self, start: int, end: int, tag: str) -> None:
        """Log a range as searched."""
        self._ending.check()
        if self.citable:
            self._ledger.scan(self.doc_index, self.start + start, self.start + end, tag)

    def find(
        self, term: str, start: int, end: int, *, ignore_case: bool = False, logged: bool = True
    ) -> Iterator[Span]:
        """Places of `term` in the range, logged as a search unless the caller did."""
        if logged:
            self.scanned(start, end, SCAN_FIND)
        first, last = self._bytes(start, end)
        return self._relative(scan.within(self.text, term, first, last, ignore_case=ignore_case))

    def rfind(self, term: str, start: int, end: int) -> int:
        """The last place of `term` in the range, or -1; logged as a search."""
        self.scanned(start, end, SCAN_FIND)
        at = self.text.rfind(term.encode("utf-8", "replace"), *self._bytes(start, end))
        return at if at < 0 else self.text.char_of(at) - self.start

    def regex(self, regex: Regex, start: int, end: int, *, logged: bool = True) -> Iterator[Span]:
        """Matches in the range, as if the text began and ended there; logged as a search."""
        if logged:
            self.scanned(start, end, SCAN_REGEX)
        data, base = self.window(start, end)
        return self._relative((base + a, base + b) for a, b in regex.spans(data, self.text.is_ascii))

    def raw_matches(self, regex: Regex, start: int, end: int) -> Iterator[tuple[memoryview, int, Span]]:
        """As `regex`, but each match as the searched bytes, where they begin, and its bytes among them."""
        self.scanned(start, end, SCAN_REGEX)
        data, base = self.window(start, end)
        return ((data, base, span) for span in regex.spans(data, self.text.is_ascii))

    def window(self, start: int, end: int) -> tuple[memoryview, int]:
        """The bytes of a range and where in the document's bytes they begin."""
        first, last = self._bytes(start, end)
        return self.text.data[first:last], first

    def _bytes(self, start: int, end: int) -> tuple[int, int]:
        return self.text.byte_of(self.start + start), self.text.byte_of(self.start + end)

    def _relative(self, spans: Iterable[Span]) -> Iterator[Span]:
        chars_of, base = self.text.chars_of, self.start
        for span in spans:
            first, last = chars_of(*span)
            yield first - base, last - base

    def lines(self) -> Iterator[str]:
        """The lines without their ends; what was passed so far is logged as one read that grows."""
        entry, rest = None, ""
        for start in range(0, self.length, LINE_PIECE):
            end = min(start + LINE_PIECE, self.length)
            entry = self._grow(entry, start, end)
            *whole, rest = (rest + self.peek(start, end)).split("\n")
            yield from whole
        if rest:
            yield rest

    def _grow(self, entry: Read | None, start: int, end: int) -> Read | None:
        self._ending.check()
        if not self.citable:
            return None
        return self._ledger.grown(entry, self.doc_index, self.start + start, self.start + end)

    def cite(self, start: int, end: int, note: str | None) -> str:
        """Name a range as evidence; returns its mark."""
        self._ending.check()
        return self._ledger.cite(self.doc_index, self.start + start, self.start + end, note)

    def view(self) -> View:
        """What a child execution would have to see to see the same."""
        whole = self.start == 0 and self.end == self.document.length
        return View(self.doc_index, self.start, None if whole else self.end)


class Place(NamedTuple):
    """A range of the document at `position` of the context, as code sees it."""

    position: int
    start: int
    end: int


class Shelf:
    """All documents of the step, in the order `context` shows them: the viewed ones, then the texts."""

    def __init__(
        self,
        request: StepRequest,
        corpus: MappedCorpus,
        ledger: Ledger,
        ending: Ending,
        view_of: Callable[[Source], Any],
    ) -> None:
        """`view_of` makes what code sees of a source."""
        self._views = request.views
        self._texts: Sequence[str] = request.texts
        self._corpus = corpus
        self._ledger = ledger
        self._ending = ending
        self._read_chars = request.limits.memory_mb * READ_CHARS_PER_MB
        self._view_of = view_of
        self._sources: dict[int, Source] = {}
        self._shown: dict[int, Any] = {}

    @property
    def mapped(self) -> int:
        """How many of the documents belong to the session; the texts come after them."""
        return len(self._corpus) if self._views is None else len(self._views)

    def __len__(self) -> int:
        return self.mapped + len(self._texts)

    def at(self, position: int) -> Any:
        """What code sees of the document at `position`; always the same object."""
        if position not in self._shown:
            self._shown[position] = self._view_of(self.source(position))
        return self._shown[position]

    def source(self, position: int) -> Source:
        """The document at `position`, which must be within the length."""
        if position not in self._sources:
            view, document = self._described(position)
            self._sources[position] = Source(
                position, view, document, self._ledger, self._ending, self._read_chars
            )
        return self._sources[position]

    def _described(self, position: int) -> tuple[View, Document]:
        if position >= self.mapped:
            number = position - self.mapped + 1
            return View(-number), MemoryDocument(number, self._texts[number - 1])
        view = View(position) if self._views is None else self._views[position]
        return view, self._corpus.document(view.doc_index)

    def total_chars(self) -> int:
        """Characters of all documents together."""
        if self._views is None:
            return sum(self._corpus.column("char_length")) + sum(map(len, self._texts))
        return sum(self.source(position).length for position in range(len(self)))

    def find(self, term: str, *, ignore_case: bool, per_document: int | None) -> Iterator[Place]:
        """Places of `term` in all documents, in their order; logged as one search."""
        self._scanned(SCAN_FIND)
        if self._views is None:
            found = scan.literal(self._corpus, term, ignore_case=ignore_case, per_document=per_document)
            yield from self._placed(found)
        for source in self._apart():
            spans = source.find(term, 0, source.length, ignore_case=ignore_case, logged=False)
            yield from (Place(source.position, a, b) for a, b in islice(spans, per_document))

    def regex(self, regex: Regex, *, per_document: int | None) -> Iterator[Place]:
        """Matches in all documents, each searched alone, in their order; logged as one search."""
        self._scanned(SCAN_REGEX)
        if self._views is None:
            yield from self._placed(scan.pattern(self._corpus, regex, per_document=per_document))
        for source in self._apart():
            spans = source.regex(regex, 0, source.length, logged=False)
            yield from (Place(source.position, a, b) for a, b in islice(spans, per_document))

    def _scanned(self, tag: str) -> None:
        self._ending.check()
        if self.mapped:
            self._ledger.scan(WHOLE_CORPUS, 0, self.total_chars(), tag)

    def _apart(self) -> Iterator[Source]:
        """The documents that a scan over the mapped segments does not cover."""
        return map(self.source, range(self.mapped if self._views is None else 0, len(self)))

    def _placed(self, found: Iterator[scan.Found]) -> Iterator[Place]:
        for document, start, end in found:
            yield Place(document, *self.source(document).text.chars_of(start, end))

    def locate(self, doc_index: int, start: int, end: int) -> Place | None:
        """Where code sees the absolute range of a document; None if it does not see it."""
        if self._views is None:
            return Place(doc_index, start, end) if 0 <= doc_index < self.mapped else None
        for source in map(self.source, range(self.mapped)):
            if source.doc_index == doc_index and source.start <= start and end <= source.end:
                return Place(source.position, start - source.start, end - source.start)
        return None

    def again(self, view: View) -> str:
        """A range that an earlier step read, and that was logged then."""
        text = self._corpus.document(view.doc_index).text.read(view.start_char, view.end_char or 0)
        self._ledger.remember(text, view.doc_index, view.start_char)
        return text

    def origin(self, text: str) -> View | None:
        """The range that `text` is an exact copy of, if this step read it from a document."""
        known = self._ledger.source_of(text)
        if known is None:
            return None
        doc_index, start, end = known
        same = self._corpus.document(doc_index).text.read(start, end) == text
        return View(doc_index, start, end) if same else None
