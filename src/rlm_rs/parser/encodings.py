"""Which encoding a text is in: byte order marks, UTF-8, UTF-16/32 without a mark, legacy code pages."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import charset_normalizer

BLOCK_BYTES = 1 << 20
_REPLACEMENT = "\ufffd".encode()
_SAMPLE_BYTES = 1 << 16

# UTF-32 first: its little-endian mark starts with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(rb"""(?:charset|encoding|coding)\s*[:=]\s*["']?([A-Za-z0-9._:-]{2,40})""")
_LEGACY_FAMILIES = ("cp", "iso8859", "iso2022", "koi8", "mac", "shift_jis", "euc", "gb", "big5", "hz", "tis")
# Bytes that text in an ASCII-compatible encoding has no use for (escape, backspace and form feed do occur).
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\b\x1b\x0b")) + b"\x7f"


@dataclass(frozen=True, slots=True)
class Encoding:
    """How to decode a file: the codec, the bytes of its mark to skip, and what to tell the user."""

    codec: str
    skip: int = 0
    errors: str = "strict"
    warning: str | None = None


def encoding_by_mark(head: bytes) -> Encoding | None:
    """The encoding that a byte order mark or the pattern of zero bytes gives away, if any."""
    for mark, codec in _MARKS:
        if head.startswith(mark):
            warning = None if codec == "utf-8" else f"Read as {codec.upper()}, by its byte order mark."
            return Encoding(codec, len(mark), "replace", warning)
    codec_by_zeros = _wide_codec(head[:4096])
    if codec_by_zeros is None:
        return None
    return Encoding(codec_by_zeros, 0, "replace", f"Read as {codec_by_zeros.upper()}, by its zero bytes.")


def looks_binary(head: bytes) -> bool:
    """Whether the start of a file cannot be text in any encoding known here."""
    if not head or encoding_by_mark(head):
        return False
    return len(head) - len(head.translate(None, _CONTROL)) > len(head) // 20


def encoding_of(path: Path, head: bytes) -> Encoding:
    """The encoding of a text file. Reads all of it once to see whether it is UTF-8."""
    by_mark = encoding_by_mark(head)
    if by_mark and by_mark.codec != "utf-8":
        return by_mark
    skip = by_mark.skip if by_mark else 0
    invalid_at = _first_invalid_utf8(path, skip)
    if invalid_at is None:
        return Encoding("utf-8", skip)
    return _legacy(_sample(path, head, invalid_at), skip)


def decode(data: bytes) -> tuple[str, str | None]:
    """Decode a whole text in memory; returns it with its line ends as they are, and a warning or None."""
    encoding = encoding_by_mark(data[:_SAMPLE_BYTES]) or Encoding("utf-8")
    try:
        return data[encoding.skip :].decode(encoding.codec, encoding.errors), encoding.warning
    except UnicodeDecodeError as error:
        encoding = _legacy(data[:_SAMPLE_BYTES] + data[error.start : error.start + _SAMPLE_BYTES], 0)
        return data.decode(encoding.codec, "replace"), encoding.warning


def read_canonical(path: Path, encoding: Encoding) -> Iterator[bytes]:
    """The file's text in pieces of whole characters, as canonical UTF-8 (see `canonical.clean`).

    encoding: that of `encoding_of`, so that UTF-8 is known to be valid and is not decoded again.
    """
    strict_utf8 = encoding.codec == "utf-8" and encoding.errors == "strict"
    for block in _utf8_blocks(path, encoding.skip) if strict_utf8 else _decoded_blocks(path, encoding):
        yield block.replace(b"\0", _REPLACEMENT) if b"\0" in block else block


def _utf8_blocks(path: Path, skip: int) -> Iterator[bytes]:
    rest = b""
    with path.open("rb") as file:
        file.seek(skip)
        while data := file.read(BLOCK_BYTES):
            data = rest + data
            end = _end_of_whole(data)
            data, rest = data[:end], data[end:]
            yield _newlines(data)
    yield _newlines(rest)


def _newlines(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def _end_of_whole(data: bytes) -> int:
    """Where valid UTF-8 can be cut: before an unfinished character, and before a final carriage return."""
    end = len(data)
    while end > 0 and end > len(data) - 4 and data[end - 1] & 0xC0 == 0x80:
        end -= 1
    if end > 0 and data[end - 1] >= 0xC0:
        lead = data[end - 1]
        size = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
        return len(data) if len(data) - end + 1 == size else end - 1
    return len(data) - data.endswith(b"\r")


def _decoded_blocks(path: Path, encoding: Encoding) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding.codec)(encoding.errors)
    lines = io.IncrementalNewlineDecoder(decoder, translate=True)
    with path.open("rb") as file:
        file.seek(encoding.skip)
        while data := file.read(BLOCK_BYTES):
            yield lines.decode(data).encode()
    yield lines.decode(b"", final=True).encode()


def _wide_codec(head: bytes) -> str | None:
    """UTF-16 or UTF-32 of mostly Latin text, told by where its zero bytes stand."""
    if len(head) < 4 or head.count(0) < len(head) // 4:
        return None
    zeros = [head[lane::4].count(0) * 4 / len(head) for lane in range(4)]
    high, low = 0.7, 0.1
    patterns = {
        "utf-32-le": (low, high, high, high),
        "utf-32-be": (high, high, high, low),
        "utf-16-le": (low, high, low, high),
        "utf-16-be": (high, low, high, low),
    }
    for codec, expected in patterns.items():
        if all(_fits(share, want) for share, want in zip(zeros, expected, strict=True)):
            return codec
    return None


def _fits(share: float, want: float) -> bool:
    return share >= want if want > 0.5 else share <= want


def _first_invalid_utf8(path: Path, skip: int) -> int | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    done = skip
    with path.open("rb") as file:
        file.seek(skip)
        try:
            while data := file.read(BLOCK_BYTES):
                decoder.decode(data)
                done += len(data)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            return max(0, done + error.start)
    return None


def _sample(path: Path, head: bytes, invalid_at: int) -> bytes:
    """The start of the file and the surroundings of its first byte that is not UTF-8."""
    if invalid_at < len(head) // 2:
        return head
    with path.open("rb") as file:
        file.seek(max(len(head), invalid_at - 1024))
        return head + file.read(_SAMPLE_BYTES)


def _legacy(sample: bytes, skip: int) -> Encoding:
    lenient = sample.decode("utf-8", "surrogateescape")
    broken = sum("\udc80" <= char <= "\udcff" for char in lenient)
    proper = sum(char > "\x7f" for char in lenient) - broken
    if skip or proper > 2 * broken:
        return Encoding("utf-8", skip, "replace", "Some bytes are not valid UTF-8 and read as U+FFFD.")
    codec = _declared_codec(sample) or _guess(sample)
    return Encoding(codec, 0, "replace", f"Read as {codec}, which is a guess: check accented letters.")


def _declared_codec(sample: bytes) -> str | None:
    declared = _DECLARED.search(sample[:2048])
    if not declared:
        return None
    try:
        codec = codecs.lookup(declared.group(1).decode("ascii"))
    except LookupError:
        return None
    # Browsers read iso-8859-1 as windows-1252 (WHATWG Encoding, section 4.2), and so do we.
    name = {"iso8859-1": "cp1252", "ascii": "cp1252"}.get(codec.name, codec.name)
    return name if name.startswith(_LEGACY_FAMILIES) else None


def _guess(sample: bytes) -> str:
    """windows-1252 where it fits as well as anything else: Western text is the common case."""
    matches = charset_normalizer.from_bytes(sample)
    best = matches.best()
    if best is None:
        return "cp1252"
    western = next((match for match in matches if "cp1252" in match.could_be_from_charset), None)
    if western and western.chaos <= best.chaos and western.coherence >= best.coherence:
        return "cp1252"
    return best.encoding
