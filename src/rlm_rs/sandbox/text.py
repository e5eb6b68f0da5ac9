"""The text of one document: UTF-8 bytes where they lie, addressed by character.

Nothing here decodes a whole document. ASCII text needs no index, since byte and character offsets are the
same; other text has the byte offset of every 4,096th character.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

import stringzilla

from rlm_rs.sandbox.fetched import Bytes
from rlm_rs.sandbox.windows import windows

STRIDE = 4096
"""Characters between two entries of an index."""

FOLDED_FACTOR = 6
"""No text is more than this many times as long, in bytes, as another that folds to the same."""


class Text:
    """UTF-8 bytes with character addressing. Offsets must be within `0..length`; nothing is clamped."""

    __slots__ = ("data", "index", "length")

    def __init__(self, data: Bytes, length: int, index: memoryview | None) -> None:
        """`index` holds uint64 byte offsets of characters 0, 4096, …; None means the text is ASCII."""
        self.data = data
        self.length = length
        self.index = index

    @classmethod
    def of(cls, text: str) -> Text:
        """A text held in memory. Lone surrogates become `?`."""
        encoded = text.encode("utf-8", "replace")
        index = None if text.isascii() else memoryview(index_of(text)).cast("Q")
        return cls(memoryview(encoded), len(text), index)

    @property
    def is_ascii(self) -> bool:
        """Whether every character is one byte."""
        return self.index is None

    def read(self, start: int, end: int) -> str:
        """Characters `[start, end)`."""
        if start >= end:
            return ""
        if self.index is None:
            return str(self.data[start:end], "utf-8")
        first = start // STRIDE
        piece = str(self.data[self.index[first] : self._checkpoint(-(-end // STRIDE))], "utf-8")
        return piece[start - first * STRIDE : end - first * STRIDE]

    def byte_of(self, char: int) -> int:
        """Byte offset of character `char`."""
        if self.index is None:
            return char
        if char >= self.length:
            return len(self.data)
        nearest, rest = divmod(char, STRIDE)
        base: int = self.index[nearest]
        if not rest:
            return base
        piece = str(self.data[base : self._checkpoint(nearest + 1)], "utf-8")
        return base + len(piece[:rest].encode())

    def char_of(self, byte: int) -> int:
        """Number of the character that begins at byte offset `byte`."""
        if self.index is None or not byte:
            return byte
        nearest = bisect_right(self.index, byte) - 1
        return nearest * STRIDE + int(stringzilla.utf8_count(self.data[self.index[nearest] : byte]))

    def chars_of(self, start: int, end: int) -> tuple[int, int]:
        """Character offsets of a byte range; short ranges cost one look-up."""
        first = self.char_of(start)
        if self.index is None:
            return first, end
        if end - start > STRIDE:
            return first, self.char_of(end)
        return first, first + int(stringzilla.utf8_count(self.data[start:end]))

    def _checkpoint(self, number: int) -> int:
        index = self.index
        return index[number] if index is not None and number < len(index) else len(self.data)

    def find(self, term: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Byte ranges of `term` within bytes `[start, end)`, overlapping ones included, in order."""
        for window in windows(self.data, start, end, len(term) - 1):
            data, at = self.data[window.start : window.limit], 0
            while (at := stringzilla.find(data, term, at)) >= 0:
                yield window.start + at, window.start + at + len(term)
                at += 1

    def find_uncased(self, term: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
        """As `find`, by Unicode full case folding; a range may differ in length from the term."""
        for window in windows(self.data, start, end, FOLDED_FACTOR * len(term)):
            data = self.data[window.start : window.limit]
            for match in stringzilla.utf8_uncased_matches(data, term, True):
                at = window.start + match.offset_within(data)
                if at < window.end:
                    yield at, at + match.nbytes

    def rfind(self, term: bytes, start: int, end: int) -> int:
        """Byte offset of the last `term` within bytes `[start, end)`, or -1."""
        at = stringzilla.rfind(self.data[start:end], term)
        return at if at < 0 else start + int(at)

    def next_char(self, byte: int) -> int:
        """Byte offset of the character after the one at `byte`."""
        return following(self.data, byte)


def following(data: Bytes, byte: int) -> int:
    """Byte offset of the character after the one at `byte` in UTF-8 `data` (one past its end at the end)."""
    byte += 1
    while byte < len(data) and data[byte] & 0xC0 == 0x80:
        byte += 1
    return byte


def preceding(data: Bytes, byte: int) -> int:
    """Byte offset of the character before `byte` in UTF-8 `data`; 0 at the beginning."""
    byte -= 1
    while byte > 0 and data[byte] & 0xC0 == 0x80:
        byte -= 1
    return max(byte, 0)


def index_of(text: str) -> bytes:
    """The index of a text held in memory: little-endian uint64 byte offsets of characters 0, 4096, …"""
    offsets, at = [], 0
    for start in range(0, max(len(text), 1), STRIDE):
        offsets.append(at.to_bytes(8, "little"))
        at += len(text[start : start + STRIDE].encode("utf-8", "replace"))
    return b"".join(offsets)
