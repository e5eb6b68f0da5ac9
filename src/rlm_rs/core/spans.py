"""Spans, their checksums and how they merge. Offsets are code points of the canonical text."""

from __future__ import annotations

import hashlib
import re
import sys
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from rlm_rs.core.wellformed import well_formed
from rlm_rs.sandbox.protocol import SpanEntry

SCAN_PREFIX = "scan:"
CHECKSUM_PREFIX = "sha256:"
_CHECKSUM = re.compile(CHECKSUM_PREFIX + "[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class SpanRef:
    """A citation anyone can re-check: where the text stands and what it hashes to."""

    tenant_id: str
    session_id: str
    doc_id: str
    doc_index: int
    start_char: int
    end_char: int
    checksum: str


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """`[start_char, end_char)` of one document."""

    doc_index: int
    start_char: int
    end_char: int

    @property
    def length(self) -> int:
        """Characters in it."""
        return self.end_char - self.start_char

    def contains(self, other: Range) -> bool:
        """Whether `other` lies wholly inside."""
        same = self.doc_index == other.doc_index
        return same and self.start_char <= other.start_char and other.end_char <= self.end_char


def checksum(text: str) -> str:
    """`sha256:` and hex SHA-256 of the UTF-8 of the text in Unicode normal form C."""
    canonical = well_formed(unicodedata.normalize("NFC", text)).encode()
    return f"{CHECKSUM_PREFIX}{hashlib.sha256(canonical).hexdigest()}"


class RunningChecksum:
    """The `checksum` of a text that comes in pieces, which are not kept.

    Normal form C reaches across a piece's end to the next character that can begin anew; up to there it is
    held back.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._held: list[str] = []

    def add(self, piece: str) -> None:
        """The next piece of the text."""
        border = _border(piece)
        if border is None:
            self._held.append(piece)
            return
        self._settle("".join([*self._held, piece[:border]]))
        self._held = [piece[border:]]

    def value(self) -> str:
        """The checksum, once the last piece was added."""
        self._settle("".join(self._held))
        self._held = []
        return f"{CHECKSUM_PREFIX}{self._digest.hexdigest()}"

    def _settle(self, text: str) -> None:
        self._digest.update(well_formed(unicodedata.normalize("NFC", text)).encode())


def is_checksum(text: str) -> bool:
    """Whether it has the form of a `checksum`."""
    return _CHECKSUM.fullmatch(text) is not None


def _border(text: str) -> int | None:
    """Where a text can be cut so that the normal form of the whole is that of its parts; None for nowhere."""
    at = max(text.rfind("\n"), text.rfind(" "))
    if at >= 0:
        return at
    return next((at for at in reversed(range(len(text))) if _begins_anew(text[at])), None)


def _begins_anew(char: str) -> bool:
    """Whether nothing before a character changes it, or changes for it, in normal form C (UAX #15, 9.1)."""
    first = unicodedata.normalize("NFD", char)[0]
    return not unicodedata.combining(first) and first not in _seconds()


@cache
def _seconds() -> frozenset[str]:
    """The characters that may become one with what stands before them."""
    pairs = (unicodedata.decomposition(chr(code)).split() for code in range(sys.maxunicode + 1))
    found = {chr(int(pair[1], 16)) for pair in pairs if len(pair) == 2 and not pair[0].startswith("<")}
    # vowels and final consonants of Hangul, which compose by arithmetic
    return frozenset(found | {chr(code) for code in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))})


def is_scan(span: SpanEntry) -> bool:
    """Whether the range was searched, not read: it is never a citation."""
    return (span.tag or "").startswith(SCAN_PREFIX)


def is_context(span: SpanEntry) -> bool:
    """Whether the span is a result in CONTEXTS mode: tagged `context` or `context:<suffix>`."""
    return span.tag == "context" or (span.tag or "").startswith("context:")


def read_ranges(spans: Iterable[SpanEntry]) -> list[Range]:
    """The non-empty ranges that were read, in the order they were."""
    return [
        Range(span.doc_index, span.start_char, span.end_char)
        for span in spans
        if span.doc_index >= 0 and span.end_char > span.start_char and not is_scan(span)
    ]


def merge(ranges: Iterable[Range], merge_gap_chars: int = 0) -> list[Range]:
    """Ranges joined where they overlap, touch, or lie within `merge_gap_chars`, per document, sorted."""
    merged: list[Range] = []
    for _, group in groupby(sorted(ranges), key=lambda r: r.doc_index):
        current: Range | None = None
        for item in group:
            if current and item.start_char <= current.end_char + merge_gap_chars:
                current = Range(current.doc_index, current.start_char, max(current.end_char, item.end_char))
                merged[-1] = current
            else:
                current = item
                merged.append(item)
    return merged
