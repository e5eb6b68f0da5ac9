"""Scans of large texts, a window at a time, so that a step's resident memory stays small.

Pages of a mapped file stay in the system's cache when they are let go here; what is saved is this process's
share of them, which is what limits and people look at.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import NamedTuple

import stringzilla

from rlm_rs.sandbox.fetched import Bytes, FetchedBytes

WINDOW = 64 << 20
"""Bytes looked at before they are let go."""


class Window(NamedTuple):
    """Hits that begin in `[start, end)` belong to this window; they may reach up to `limit`."""

    start: int
    end: int
    limit: int


def windows(data: Bytes, start: int, end: int, reach: int) -> Iterator[Window]:
    """`[start, end)` of UTF-8 text in windows on character borders; a hit is at most `reach` bytes long.

    A window is let go when the next one is asked for.
    """
    while end - start > WINDOW:
        stop = boundary(data, start + WINDOW)
        yield Window(start, stop, boundary(data, min(end, stop + reach)))
        release(data, start, stop)
        start = stop
    yield Window(start, end, end)


def boundary(data: Bytes, byte: int) -> int:
    """The nearest character border of UTF-8 `data` at or before `byte`."""
    while 0 < byte < len(data) and data[byte] & 0xC0 == 0x80:
        byte -= 1
    return byte


def release(data: Bytes, start: int = 0, end: int | None = None) -> None:
    """Let go of the pages wholly inside a range of a mapped view; what is not mapped is left alone."""
    data = data.mapped if isinstance(data, FetchedBytes) else data
    mapped = data.obj
    if not isinstance(mapped, mmap.mmap) or not len(data):
        return
    base = stringzilla.Str(data).address - stringzilla.Str(memoryview(mapped)).address
    first = -(-(base + start) // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (base + (len(data) if end is None else end)) // mmap.PAGESIZE * mmap.PAGESIZE
    if last > first:
        mapped.madvise(mmap.MADV_DONTNEED, first, last - first)
