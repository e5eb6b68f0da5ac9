"""What a step read, searched and cited, in the order it happened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from rlm_rs.sandbox.limits import LimitExceeded
from rlm_rs.sandbox.protocol import Cite, SpanEntry

CITE_TAG = "cite"
SCAN_FIND = "scan:find"
SCAN_REGEX = "scan:regex"
SCAN_SEARCH = "scan:search"

_TAG_CHARS = 200
_REMEMBERED = 100_000


class Read:
    """One entry. `end` may still grow while code goes through a document line by line.

    spare: the text of a search hit, which the search's own entry covers when there is no room.
    gone: no longer in the log, another entry covers what it had.
    """

    __slots__ = ("doc_index", "end", "gone", "spare", "start", "tag")

    def __init__(self, doc_index: int, start: int, end: int, tag: str | None, spare: bool = False) -> None:
        self.doc_index = doc_index
        self.start = start
        self.end = end
        self.tag = tag
        self.spare = spare
        self.gone = False


class Ledger:
    """The span log and the citations of one step. Offsets are absolute.

    Reads count against the limit, searches do not. Identical entries are kept once. When the log is full,
    untagged reads that touch are joined to make room; only when that is not enough is the limit an error.
    """

    def __init__(self, max_spans: int, cited: Sequence[Cite] = ()) -> None:
        """`cited` are the citations of earlier steps: their marks stay as they are."""
        self._max_spans = max_spans
        self._entries: list[Read] = []
        self._seen: dict[tuple[int, int, int, str | None], Read] = {}
        self._reads = 0
        self._cites: list[Cite] = list(cited)
        self._cited_before = len(cited)
        self._sources: dict[tuple[int, int], tuple[int, int, int]] = {}

    def read(self, doc_index: int, start: int, end: int, tag: str | None = None) -> Read | None:
        """Log a read; None if it is empty or was logged. Raises `LimitExceeded` when the log is full."""
        logged = self._seen.get((doc_index, start, end, tag))
        if logged is not None:
            logged.spare = False
        if start >= end or logged is not None:
            return None
        if self._reads >= self._max_spans and not self._make_room():
            raise LimitExceeded(
                f"this step has read {self._reads} separate passages, and max_spans_per_step is "
                f"{self._max_spans}. Search first (context.find, context.regex), read fewer or longer "
                "passages, or go on in the next step."
            )
        self._reads += 1
        return self._append(Read(doc_index, start, end, tag))

    def grown(self, entry: Read | None, doc_index: int, start: int, end: int) -> Read | None:
        """Log a read that goes on where `entry` ended; returns the entry that now holds it."""
        if entry is None or entry.gone:
            return self.read(doc_index, start, end)
        entry.end = end
        return entry

    def read_if_room(self, doc_index: int, start: int, end: int) -> None:
        """Log the text of a search hit, but let the search's own entry stand for it once the log is full."""
        is_logged = (doc_index, start, end, None) in self._seen
        if start < end and not is_logged and self._reads < self._max_spans:
            self._reads += 1
            self._append(Read(doc_index, start, end, None, spare=True))

    def scan(self, doc_index: int, start: int, end: int, tag: str) -> None:
        """Log a range as searched. It never becomes a citation."""
        if (doc_index, start, end, tag) not in self._seen:
            self._append(Read(doc_index, start, end, tag))

    def cite(self, doc_index: int, start: int, end: int, note: str | None) -> str:
        """Name a range as evidence; returns its mark. The same range keeps the mark it has."""
        for number, cite in enumerate(self._cites, 1):
            if (cite.doc_index, cite.start_char, cite.end_char) == (doc_index, start, end):
                return f"[{number}]"
        self.read(doc_index, start, end, CITE_TAG)
        self._cites.append(Cite(doc_index, start, end, note))
        return f"[{len(self._cites)}]"

    @property
    def marks(self) -> int:
        """How many citations there are: marks are 1 to this number."""
        return len(self._cites)

    def remember(self, text: str, doc_index: int, start: int) -> None:
        """Note where a text came from, so that it can be traced back while it is passed around."""
        if len(self._sources) < _REMEMBERED:
            self._sources[len(text), hash(text)] = (doc_index, start, start + len(text))

    def source_of(self, text: str) -> tuple[int, int, int] | None:
        """Where a text of that length and hash was read; the caller compares the text itself."""
        return self._sources.get((len(text), hash(text)))

    def spans(self) -> tuple[SpanEntry, ...]:
        """The log so far."""
        return tuple(SpanEntry(e.doc_index, e.start, e.end, e.tag) for e in self._entries)

    def new_cites(self) -> tuple[Cite, ...]:
        """The citations this step added."""
        return tuple(self._cites[self._cited_before :])

    def _append(self, entry: Read) -> Read:
        self._seen[entry.doc_index, entry.start, entry.end, entry.tag] = entry
        self._entries.append(entry)
        return entry

    def _make_room(self) -> bool:
        """Join what touches and drop what is spare; whether there is room then."""
        plain = [entry for entry in self._entries if entry.tag is None]
        kept = set(map(id, _joined(entry for entry in plain if not entry.spare)))
        for entry in plain:
            entry.gone = id(entry) not in kept
        self._entries = [entry for entry in self._entries if not entry.gone]
        self._seen = {key: entry for key, entry in self._seen.items() if not entry.gone}
        self._reads -= len(plain) - len(kept)
        return self._reads < self._max_spans


def checked_tag(tag: object) -> str | None:
    """The tag code gave for a read. Raises ValueError for one that is reserved or not a short string."""
    if tag is None:
        return None
    if not isinstance(tag, str) or len(tag) > _TAG_CHARS:
        raise ValueError(f"tag must be a string of at most {_TAG_CHARS} characters")
    if tag.startswith("scan:") or tag == CITE_TAG:
        raise ValueError(f"tag {tag!r} is reserved; use another word")
    return str(tag)


def _joined(reads: Iterable[Read]) -> list[Read]:
    """Reads with those that touch or overlap, in the same document, made one. Changes their bounds."""
    kept: list[Read] = []
    ordered = sorted(reads, key=lambda entry: (entry.doc_index, entry.start))
    for _, group in groupby(ordered, key=lambda entry: entry.doc_index):
        last: Read | None = None
        for entry in group:
            if last is not None and entry.start <= last.end:
                last.end = max(last.end, entry.end)
            else:
                last = entry
                kept.append(entry)
    return kept
