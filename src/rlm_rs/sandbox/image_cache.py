"""The corpus images that a warm function has read from, each as far as it was read.

An image is a folder of sparse files named by a key that no two corpora share. A step's process is handed the
descriptors of its own image and can open nothing, so what another tenant's steps read is out of its reach.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rlm_rs.sandbox.fetched import BLOCK_BYTES
from rlm_rs.sandbox.ranges import RangeReader, block_of

KEY = re.compile(r"[0-9a-f]{64}")
AHEAD_BLOCKS = 8
"""What a reader that goes through a file block by block is given at once."""
KEPT_SECONDS = 900.0
"""An image that no step asked for this long is removed."""


class CacheFull(Exception):
    """The documents that one step reads do not fit into the function's storage."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"{limit_bytes >> 20} MB")
        self.limit_bytes = limit_bytes


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file of an image as its event names it: where it is read, and its length in bytes."""

    url: str
    size: int


@dataclass(slots=True)
class CachedImage:
    """One image: its files, open for writing, and for each a byte per block that says if it is here."""

    folder: Path
    sizes: tuple[int, ...]
    descriptors: tuple[int, ...]
    here: tuple[bytearray, ...]
    urls: tuple[str, ...] = ()
    used_at: float = 0.0
    kept_bytes: int = 0
    expected: list[int] = field(default_factory=list)

    @classmethod
    def made(cls, folder: Path, files: Sequence[ImageFile]) -> CachedImage:
        """An image of which nothing is here yet."""
        folder.mkdir(mode=0o700)
        sizes = tuple(file.size for file in files)
        with ExitStack() as opened:
            descriptors = []
            for number, size in enumerate(sizes):
                path = folder / str(number)
                descriptors.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
                opened.callback(os.close, descriptors[-1])
                os.ftruncate(descriptors[-1], size)
            opened.pop_all()
        here = tuple(bytearray(-(-size // BLOCK_BYTES)) for size in sizes)
        return cls(folder, sizes, tuple(descriptors), here, expected=[-1] * len(sizes))

    def opened(self) -> list[int]:
        """Read-only descriptors of the files, in order, the caller's to close."""
        with ExitStack() as opened:
            descriptors = []
            for number in range(len(self.sizes)):
                descriptors.append(os.open(self.folder / str(number), os.O_RDONLY | os.O_CLOEXEC))
                opened.callback(os.close, descriptors[-1])
            opened.pop_all()
            return descriptors

    def missing(self, file: int, first: int, last: int) -> list[int]:
        """The blocks of a file in this range that are not here, and some after it for a reader in order.

        Raises ValueError for what is no range of it.
        """
        if not (file < len(self.sizes) and first <= last < len(self.here[file])):
            raise ValueError(f"no blocks {first} to {last} of file {file}")
        in_order, self.expected[file] = first == self.expected[file], last + 1
        if in_order:
            last = min(max(last, first + AHEAD_BLOCKS - 1), len(self.here[file]) - 1)
        return [number for number in range(first, last + 1) if not self.here[file][number]]

    def length(self, file: int, blocks: Sequence[int]) -> int:
        """Bytes of these blocks of a file."""
        return sum(min(BLOCK_BYTES, self.sizes[file] - block * BLOCK_BYTES) for block in blocks)

    def remove(self) -> None:
        """Remove the files."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        shutil.rmtree(self.folder)


class ImageCache:
    """At most `limit_bytes` of blocks below a folder of its own; what was used longest ago goes first."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        """Empties the folder: what a function before left there cannot be told apart from holes."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._images: OrderedDict[str, CachedImage] = OrderedDict()

    @property
    def kept_bytes(self) -> int:
        """Bytes of all blocks that are here."""
        return sum(image.kept_bytes for image in self._images.values())

    def image(self, key: str, files: Sequence[ImageFile]) -> CachedImage:
        """The image with that key, to be read from these URLs. Raises ValueError for a key that is none."""
        if not KEY.fullmatch(key):
            raise ValueError("the key of an image is 64 hex digits")
        self._remove_unused()
        image = self._images.get(key)
        if image is None or image.sizes != tuple(file.size for file in files):
            self._remove(key)
            image = self._images[key] = CachedImage.made(self._folder / key, files)
        image.urls, image.used_at = tuple(file.url for file in files), time.monotonic()
        self._images.move_to_end(key)
        return image

    def fetch(
        self, image: CachedImage, blocks: tuple[int, int, int], reader: RangeReader, deadline: float
    ) -> None:
        """Bring blocks (file, first, last) here. Raises as `RangeReader.read` does, or `CacheFull`."""
        file, first, last = blocks
        wanted = image.missing(file, first, last)
        while not self._has_room(needed := image.length(file, wanted), image):
            if not wanted or wanted[-1] <= last:
                raise CacheFull(self._limit_bytes)
            wanted.pop()  # it was only expected to be asked for
        url, size, descriptor = image.urls[file], image.sizes[file], image.descriptors[file]
        reader.read([block_of(url, number, size, descriptor) for number in wanted], deadline)
        image.kept_bytes += needed
        for number in wanted:
            image.here[file][number] = 1

    def _has_room(self, needed: int, image: CachedImage) -> bool:
        """Whether so much more fits, other images removed for it."""
        while self.kept_bytes + needed > self._limit_bytes:
            oldest = next(iter(self._images))
            if self._images[oldest] is image:
                return False
            self._remove(oldest)
        return True

    def _remove_unused(self) -> None:
        allowed = time.monotonic() - KEPT_SECONDS
        for key in [key for key, image in self._images.items() if image.used_at < allowed]:
            self._remove(key)

    def _remove(self, key: str) -> None:
        image = self._images.pop(key, None)
        if image is not None:
            image.remove()
