"""Spans, their checksums and how they merge. Offsets are code points of the canonical text."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from rlm_rs.core.wellformed import well_formed
from rlm_rs.sandbox.protocol import SpanEntry

SCAN_PREFIX = "scan:"


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
    return f"sha256:{hashlib.sha256(canonical).hexdigest()}"


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
