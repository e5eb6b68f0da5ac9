"""Tar archives of unknown origin, read from front to back in bounded memory."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from rlm_rs.parser.failures import DocumentBomb

# a chain of headers for one member is read by recursion
BROKEN_TAR = (tarfile.TarError, RecursionError, OverflowError)
HEADER_BYTES = 1 << 20
"""What one member's headers may have: long names, pax records, the maps of sparse files."""
_GLOBAL_CHARS = 1 << 16
_OPENERS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"\x5d\x00\x00": lzma.open,
}


@contextmanager
def open_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """Open a tar archive, packed or not; `members` are its members."""
    with path.open("rb") as file:
        start = file.read(max(map(len, _OPENERS)))
    opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
    with opener(path) if opener else path.open("rb") as unpacked:
        # what `tarfile` asks of a file is no more than this
        metered = cast(IO[bytes], _Metered(unpacked))
        with tarfile.TarFile(fileobj=metered, mode="r") as archive:
            yield archive


def members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Each member, to be read before the next.

    Raises `DocumentBomb` for headers that would fill the memory.
    """
    metered = cast(_Metered, archive.fileobj)
    while True:
        metered.left = HEADER_BYTES
        member = archive.next()
        if member is None:
            return
        if sum(len(name) + len(str(value)) for name, value in archive.pax_headers.items()) > _GLOBAL_CHARS:
            raise DocumentBomb(reason="headers for all its members fill the memory")
        # the archive would keep them all
        archive.members.clear()  # type: ignore[attr-defined]
        metered.left = None
        yield member


class _Metered:
    """A file that gives no more than `left` bytes, where that is a number, and goes forward only."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.left: int | None = HEADER_BYTES
        self.tell, self.seekable = file.tell, file.seekable

    def read(self, length: int) -> bytes:
        if self.left is not None:
            self.left -= length
            if self.left < 0:
                raise DocumentBomb(reason=f"a member's headers have more than {HEADER_BYTES >> 20} MB")
        return self._file.read(length)

    def seek(self, position: int) -> int:
        if position < self._file.tell():
            raise tarfile.StreamError("a size in it is negative")
        return self._file.seek(position)
