"""The canonical text: UTF-8, `\\n` line ends, hashed and indexed while it is written.

No normalisation happens here: callers hand over text that is already canonical (see `clean`). NUL
characters become U+FFFD, one for one, because a NUL in text breaks tools downstream and a dropped one
would hide that something stood there.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from rlm_rs.parser.failures import DocumentTooLarge

CHECKPOINT_INTERVAL = 4096
_BLOCK_CHARS = 1 << 18


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
        self._starts = array("Q")
        self._bytes = 0
        self._pending: list[str] = []
        self._pending_chars = 0
        self._blank = True
        self.char_length = 0

    def write(self, text: str) -> None:
        """Append canonical text."""
        self._pending.append(text)
        self._pending_chars += len(text)
        self.char_length += len(text)
        if self._pending_chars >= _BLOCK_CHARS:
            self._flush(self._pending_chars // CHECKPOINT_INTERVAL * CHECKPOINT_INTERVAL)

    def finish(self) -> TextSummary:
        """Write what is left and close the file."""
        self._flush(self._pending_chars)
        self._file.close()
        checksum = "sha256:" + self._hash.hexdigest()
        return TextSummary(self.char_length, self._bytes, checksum, self._starts, self._blank)

    def abandon(self) -> None:
        """Close the file without finishing the text."""
        self._file.close()

    def _flush(self, chars: int) -> None:
        text = "".join(self._pending)
        rest = text[chars:]
        self._pending, self._pending_chars = [rest], len(rest)
        text = text[:chars]
        self._blank = self._blank and (not text or text.isspace())
        self._write_bytes(self._encode(text))

    def _encode(self, text: str) -> bytes:
        starts = range(0, len(text), CHECKPOINT_INTERVAL)
        if text.isascii():
            self._starts.extend(range(self._bytes, self._bytes + len(text), CHECKPOINT_INTERVAL))
            return text.encode()
        chunks = [text[start : start + CHECKPOINT_INTERVAL].encode() for start in starts]
        self._starts.extend(_starts_of(chunks, self._bytes))
        return b"".join(chunks)

    def _write_bytes(self, data: bytes) -> None:
        self._bytes += len(data)
        if self._bytes > self._max_bytes:
            raise DocumentTooLarge(what="its text", limit=f"{self._max_bytes >> 20} MB")
        self._hash.update(data)
        self._file.write(data)


def _starts_of(chunks: list[bytes], first: int) -> Iterable[int]:
    ends = accumulate((len(chunk) for chunk in chunks), initial=first)
    return list(ends)[:-1]
