"""The canonical text: UTF-8, `\\n` line ends, hashed and indexed while it is written.

The writer changes nothing: callers hand over text that is canonical already (see `clean`). NUL
characters become U+FFFD, one for one, because a NUL in text breaks tools downstream and a dropped one
would hide that something stood there.
"""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass
from pathlib import Path

import stringzilla

from rlm_rs.parser.failures import DocumentTooLarge

CHECKPOINT_INTERVAL = 4096
_BLOCK_BYTES = 1 << 18


def clean(text: str) -> str:
    """Canonical form of a piece of text: line ends, NULs and surrogates.

    Paired surrogates become their character, lone ones U+FFFD.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else _without_surrogates(text)


def _without_surrogates(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


@dataclass(frozen=True, slots=True)
class TextSummary:
    """A finished text. `starts[k]` is the byte offset of character `k * CHECKPOINT_INTERVAL`."""

    char_length: int
    byte_length: int
    checksum: str
    starts: array[int]
    blank: bool

    @property
    def is_ascii(self) -> bool:
        """Whether byte offsets equal character offsets."""
        return self.char_length == self.byte_length


class TextWriter:
    """Writes the canonical text to a file in blocks, with flat memory. Use `finish` or `abandon` once."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._file = path.open("wb")
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._index = _Index()
        self._pending = bytearray()
        self._byte_length = 0
        self._blank = True
        self.char_length = 0

    def write(self, text: str) -> None:
        """Append canonical text."""
        self.char_length += len(text)
        self._append(text.encode())

    def write_utf8(self, data: bytes) -> None:
        """Append canonical text that is encoded already, in whole characters."""
        self.char_length += stringzilla.utf8_count(data)
        self._append(data)

    def finish(self) -> TextSummary:
        """Write what is left and close the file."""
        self._flush()
        self._file.close()
        checksum = "sha256:" + self._hash.hexdigest()
        return TextSummary(self.char_length, self._byte_length, checksum, self._index.starts, self._blank)

    def abandon(self) -> None:
        """Close the file without finishing the text."""
        self._file.close()

    def _append(self, data: bytes) -> None:
        self._pending += data
        if len(self._pending) >= _BLOCK_BYTES:
            self._flush()

    def _flush(self) -> None:
        data, self._pending = bytes(self._pending), bytearray()
        self._blank = self._blank and not data.decode().strip()
        self._byte_length += len(data)
        if self._byte_length > self._max_bytes:
            raise DocumentTooLarge(what="its text", limit=f"{self._max_bytes >> 20} MB")
        self._index.extend(data)
        self._hash.update(data)
        self._file.write(data)


class _Index:
    """Finds the byte offset of every `CHECKPOINT_INTERVAL`-th character, block by block."""

    def __init__(self) -> None:
        self.starts = array("Q")
        self._bytes_before = 0
        self._chars_to_next = 0

    def extend(self, data: bytes) -> None:
        """Go on with a block of whole characters."""
        view, at, size = memoryview(data), 0, len(data)
        while at < size:
            if self._chars_to_next == 0:
                self.starts.append(self._bytes_before + at)
                self._chars_to_next = CHECKPOINT_INTERVAL
            piece = view[at : at + self._chars_to_next]
            self._chars_to_next -= stringzilla.utf8_count(piece)
            at += len(piece)
            # The piece may end inside a character, which was counted by its first byte.
            while at < size and data[at] & 0xC0 == 0x80:
                at += 1
        self._bytes_before += size
