"""Files of which only what is read is here: blocks are fetched when a slice first covers them.

A step's process has no network. Where its documents lie elsewhere, its files are sparse ones as long as the
originals, and its host fills in the blocks it asks for. They are read through `FetchedBytes` alone, whose
slices are ordinary memory; the whole is no buffer, so nothing can be read that was not fetched.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from functools import cached_property
from typing import overload

BLOCK_BYTES = 8 << 20
"""What one ranged read brings."""

Fetch = Callable[[int, int, int], None]
"""Makes blocks `first` to `last` of a file present: its number, first, last."""


class FetchedFile:
    """One file: its descriptor, and which of its blocks are known to be here."""

    def __init__(self, number: int, descriptor: int, fetch: Fetch) -> None:
        self.size = os.fstat(descriptor).st_size
        self._number = number
        self._descriptor = descriptor
        self._fetch = fetch
        self._here = bytearray(-(-self.size // BLOCK_BYTES))

    @cached_property
    def mapped(self) -> memoryview:
        """The file as it is, holes included. A private mapping shows what is written until it is touched."""
        return memoryview(mmap.mmap(self._descriptor, self.size, mmap.MAP_PRIVATE, mmap.PROT_READ))

    def bytes(self, start: int, end: int) -> memoryview:
        """Bytes `[start, end)`, fetched where they were not here."""
        if start >= end:
            return _NOTHING
        first, last = start // BLOCK_BYTES, (end - 1) // BLOCK_BYTES
        missing = self._here.find(0, first, last + 1)
        if missing >= 0:
            last_missing = self._here.rfind(0, first, last + 1)
            self._fetch(self._number, missing, last_missing)
            self._here[missing : last_missing + 1] = b"\1" * (last_missing + 1 - missing)
        return self.mapped[start:end]


class FetchedBytes:
    """A range of a file, sliced like a memoryview: a slice is memory, an index is a byte."""

    __slots__ = ("_file", "_start", "_stop")

    def __init__(self, file: FetchedFile, start: int, stop: int) -> None:
        self._file = file
        self._start = start
        self._stop = stop

    def __len__(self) -> int:
        return self._stop - self._start

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> memoryview: ...
    def __getitem__(self, key: int | slice) -> int | memoryview:
        if isinstance(key, slice):
            first, last, _ = key.indices(len(self))
            return self._file.bytes(self._start + first, self._start + last)
        at = range(len(self))[key]
        return self._file.bytes(self._start + at, self._start + at + 1)[0]

    def part(self, start: int, stop: int) -> FetchedBytes:
        """A range of this range; nothing is fetched."""
        return FetchedBytes(self._file, self._start + start, self._start + stop)

    @property
    def mapped(self) -> memoryview:
        """The memory behind, holes included: for its address alone."""
        return self._file.mapped[self._start : self._stop]


Bytes = memoryview | FetchedBytes
"""Bytes of a text or a table: mapped as a whole, or fetched as they are read."""


def part(data: Bytes, start: int, stop: int) -> Bytes:
    """A range of the bytes, without reading any."""
    return data.part(start, stop) if isinstance(data, FetchedBytes) else data[start:stop]


_NOTHING = memoryview(b"")
