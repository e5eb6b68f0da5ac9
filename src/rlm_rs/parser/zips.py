"""Zip containers of unknown origin: what they claim is checked before anything is unpacked."""

from __future__ import annotations

import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from rlm_rs.parser.failures import DocumentBomb, DocumentCorrupt, DocumentEncrypted, DocumentTooLarge
from rlm_rs.parser.outcome import ParseLimits

# APPNOTE.TXT 6.3.10, sections 4.3.12 (central directory), 4.3.16 (its end), 4.3.14 and 4.3.15 (zip64).
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_END64_LOCATOR = struct.Struct("<4sLQL")
BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)
_MAX_COMMENT = 1 << 16
_LOCAL_HEADER_BYTES = 30
_DIRECTORY_HEADER_BYTES = 46
_INFLATE_BYTES = 1 << 18
_MAX_DIRECTORY_BYTES_PER_MEMBER = 1024


@dataclass(frozen=True, slots=True)
class ContainerLimits:
    """What a container may unpack to. `ratio` (unpacked to packed) counts only above `floor_bytes`."""

    total_bytes: int
    members: int
    ratio: int
    floor_bytes: int

    @classmethod
    def of(cls, limits: ParseLimits) -> ContainerLimits:
        """The limits of one office document or book."""
        return cls(
            limits.container_bytes,
            limits.container_members,
            limits.container_ratio,
            limits.container_floor_bytes,
        )


def check_directory(path: Path, max_members: int) -> None:
    """Refuse a zip whose central directory alone would fill the memory, before it is read.

    Raises `DocumentCorrupt` when there is none.
    """
    with path.open("rb") as file:
        entries, directory_bytes, end = _directory_size(file)
        too_many = entries > max_members or directory_bytes > max_members * _MAX_DIRECTORY_BYTES_PER_MEMBER
        if too_many or _has_more(file, end - directory_bytes, end, max_members):
            raise DocumentBomb(reason=f"more than {max_members} members")


def check_sizes(members: Sequence[zipfile.ZipInfo], file_bytes: int, limits: ContainerLimits) -> None:
    """Refuse a zip whose declared sizes are out of proportion.

    Headers can lie, so what is unpacked is held to the declared size as well (`read_member`).
    """
    total = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if len(members) > limits.members:
        raise DocumentBomb(reason=f"more than {limits.members} members")
    if packed > file_bytes:
        raise DocumentBomb(reason="its members overlap")
    if total > limits.floor_bytes and total > max(packed, 1) * limits.ratio:
        raise DocumentBomb(reason=f"it unpacks to more than {limits.ratio} times its size")
    if total > limits.total_bytes:
        raise DocumentTooLarge(what="what it unpacks to", limit=f"{limits.total_bytes >> 20} MB")


def open_container(path: Path, limits: ParseLimits) -> zipfile.ZipFile:
    """Open an office document or book after checking it. Raises a `DocumentFailed`; the caller closes it."""
    check_directory(path, limits.container_members)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DocumentCorrupt(reason="its zip container is cut off or broken") from error
    check_sizes(archive.infolist(), path.stat().st_size, ContainerLimits.of(limits))
    if any(member.flag_bits & 1 for member in archive.infolist()):
        raise DocumentEncrypted
    return archive


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member's content, never more than its declared size.

    Raises `DocumentCorrupt` if it is missing or broken.
    """
    try:
        return archive.read(name)
    except KeyError:
        raise DocumentCorrupt(reason=f"{name} is missing inside it") from None
    except (*BROKEN_ZIP, NotImplementedError, RuntimeError) as error:
        raise DocumentCorrupt(reason=f"{name} inside it is broken") from error


def _directory_size(file: BinaryIO) -> tuple[int, int, int]:
    """Entries and bytes of the central directory, and where it ends."""
    tail_start = max(0, file.seek(0, os.SEEK_END) - _MAX_COMMENT - _END.size - _END64_LOCATOR.size)
    file.seek(tail_start)
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        raise DocumentCorrupt(reason="its zip container is cut off or broken")
    _, _, _, _, entries, directory_bytes, _, _ = _END.unpack_from(tail, at)
    located = at - _END64_LOCATOR.size
    if located < 0 or tail[located : located + 4] != b"PK\6\7":
        return entries, directory_bytes, tail_start + at
    end = _END64_LOCATOR.unpack_from(tail, located)[2]
    entries64, directory_bytes64 = _directory_size64(file, end, tail_start + located)
    # the old fields count as well, unless they say that they are too small
    entries = entries64 if entries == 0xFFFF else max(entries, entries64)
    if directory_bytes != 0xFFFFFFFF:
        directory_bytes64 = max(directory_bytes, directory_bytes64)
    return entries, directory_bytes64, end


def _directory_size64(file: BinaryIO, record_at: int, locator_at: int) -> tuple[int, int]:
    """What the record of zip64 says.

    Some readers look for it where the locator says, others right before the locator: both must be one place.
    """
    file.seek(max(0, locator_at - _END64.size))
    record = file.read(_END64.size)
    if record_at != locator_at - _END64.size or record[:4] != b"PK\6\6":
        raise DocumentCorrupt(reason="where its zip container ends is not clear")
    _, _, _, _, _, _, _, entries, directory_bytes, _ = _END64.unpack(record)
    return entries, directory_bytes


def _has_more(file: BinaryIO, start: int, end: int, max_members: int) -> bool:
    """Whether the directory lists more members, whatever its end says of their number."""
    at, found = max(0, start), 0
    file.seek(at)
    while at < end and found <= max_members:
        header = file.read(_DIRECTORY_HEADER_BYTES)
        if len(header) < _DIRECTORY_HEADER_BYTES:
            break
        names = sum(struct.unpack_from("<3H", header, 28))
        file.seek(names, os.SEEK_CUR)
        at += len(header) + names
        found += 1
    return found > max_members


def check_contents(path: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    """Unpack every deflated member once, keeping nothing; for readers that unpack by themselves.

    Raises `DocumentBomb` if one is larger than its header says.
    """
    with path.open("rb") as file:
        for member in members:
            if member.compress_type == zipfile.ZIP_DEFLATED and _exceeds(file, member):
                raise DocumentBomb(reason=f"{member.filename} inside it is larger than its header says")


def _exceeds(file: BinaryIO, member: zipfile.ZipInfo) -> bool:
    file.seek(member.header_offset)
    header = file.read(_LOCAL_HEADER_BYTES)
    if len(header) < _LOCAL_HEADER_BYTES:
        raise DocumentCorrupt(reason=f"{member.filename} inside it is broken")
    name_bytes, extra_bytes = struct.unpack_from("<2H", header, 26)
    file.seek(name_bytes + extra_bytes, os.SEEK_CUR)
    inflater, total, left = zlib.decompressobj(-zlib.MAX_WBITS), 0, member.compress_size
    while left > 0 and total <= member.file_size:
        packed = file.read(min(left, _INFLATE_BYTES))
        if not packed:
            break
        left -= len(packed)
        total += _inflated(inflater, packed, member)
    return total > member.file_size


def _inflated(inflater: Any, packed: bytes, member: zipfile.ZipInfo) -> int:
    """Bytes that a piece unpacks to, in bounded memory."""
    total = 0
    try:
        while packed and total <= member.file_size:
            total += len(inflater.decompress(packed, _INFLATE_BYTES))
            packed = inflater.unconsumed_tail
    except zlib.error as error:
        raise DocumentCorrupt(reason=f"{member.filename} inside it is broken") from error
    return total
