"""Searches over all documents at once, hits mapped back to documents."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

import stringzilla

from rlm_rs.sandbox import windows
from rlm_rs.sandbox.corpus import MappedCorpus
from rlm_rs.sandbox.fetched import Bytes
from rlm_rs.sandbox.regex import Regex, Span
from rlm_rs.sandbox.text import FOLDED_FACTOR, Text
from rlm_rs.sandbox.windows import release


class Found(NamedTuple):
    """A hit: document number and byte range within its text."""

    document: int
    start: int
    end: int


class Segment(NamedTuple):
    """A segment's bytes and, in the order they lie there, the documents in it that have any text."""

    data: Bytes
    documents: list[int]
    starts: list[int]
    lengths: list[int]

    def holding(self, byte: int) -> int:
        """Position in `documents` of the one that holds `byte`."""
        return bisect_right(self.starts, byte) - 1


def literal(
    corpus: MappedCorpus, term: str, *, ignore_case: bool, per_document: int | None
) -> Iterator[Found]:
    """Every place of `term`, in document order. No hit crosses a document's border.

    Works at the speed of the native scan: Python runs once per document that has a hit.
    """
    needle, search = term.encode("utf-8", "replace"), _UNCASED if ignore_case else _EXACT
    return heapq.merge(
        *(_jump(corpus, segment, needle, search, per_document) for segment in _segments(corpus))
    )


def pattern(corpus: MappedCorpus, regex: Regex, *, per_document: int | None) -> Iterator[Found]:
    """Every match of `regex`, in document order, each document searched alone."""
    looked_at = 0
    for number in range(len(corpus)):
        text = corpus.text(corpus.row(number))
        for start, end in islice(regex.spans(text.data[:], text.is_ascii), per_document):
            yield Found(number, start, end)
        looked_at += len(text.data)
        if looked_at > windows.WINDOW:
            looked_at = 0
            for segment in range(corpus.segment_count):
                release(corpus.segment(segment))


def within(text: Text, term: str, start: int, end: int, *, ignore_case: bool) -> Iterator[Span]:
    """Every place of `term` between two byte offsets of one text."""
    needle = term.encode("utf-8", "replace")
    return text.find_uncased(needle, start, end) if ignore_case else text.find(needle, start, end)


class _Search(NamedTuple):
    first: Callable[[memoryview, bytes], int]
    every: Callable[[Text, bytes, int, int], Iterator[Span]]


_EXACT = _Search(stringzilla.find, Text.find)
_UNCASED = _Search(stringzilla.utf8_uncased_search, Text.find_uncased)


def _jump(
    corpus: MappedCorpus, segment: Segment, needle: bytes, search: _Search, per_document: int | None
) -> Iterator[Found]:
    at = 0
    while (first := _first(segment.data, at, needle, search)) >= 0:
        position = segment.holding(first)
        number = segment.documents[position]
        text = corpus.text(corpus.row(number))
        for start, end in islice(search.every(text, needle, 0, len(text.data)), per_document):
            yield Found(number, start, end)
        at = segment.starts[position] + segment.lengths[position]


def _first(data: Bytes, at: int, needle: bytes, search: _Search) -> int:
    """Where the first hit at or after `at` begins, or -1."""
    for window in windows.windows(data, at, len(data), FOLDED_FACTOR * len(needle)):
        ahead = search.first(data[window.start : window.limit], needle) if window.end > window.start else -1
        if ahead >= 0:
            return window.start + int(ahead)
    return -1


def _segments(corpus: MappedCorpus) -> Iterator[Segment]:
    members: list[list[int]] = [[] for _ in range(corpus.segment_count)]
    segments, starts, lengths = (corpus.column(name) for name in ("segment", "byte_start", "byte_length"))
    for number, (segment, length) in enumerate(zip(segments, lengths, strict=True)):
        if length:
            members[segment].append(number)
    for segment, documents in enumerate(members):
        if documents:
            yield Segment(
                corpus.segment(segment),
                documents,
                [starts[number] for number in documents],
                [lengths[number] for number in documents],
            )
