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

# APPNOTE.TXT 6.3.10, sections 4.3.16 (end of central directory), 4.3.14 and 4.3.15 (zip64).
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_END64_LOCATOR = struct.Struct("<4sLQL")
BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)
_MAX_COMMENT = 1 << 16
_LOCAL_HEADER_BYTES = 30
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
    entries, directory_bytes = _directory_size(path)
    if entries > max_members or directory_bytes > max_members * _MAX_DIRECTORY_BYTES_PER_MEMBER:
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


def _directory_size(path: Path) -> tuple[int, int]:
    """Entries and bytes of the central directory."""
    size = path.stat().st_size
    tail_start = max(0, size - _MAX_COMMENT - _END.size - _END64_LOCATOR.size)
    with path.open("rb") as file:
        file.seek(tail_start)
        tail = file.read()
        at = tail.rfind(b"PK\5\6")
        if at < 0 or len(tail) - at < _END.size:
            raise DocumentCorrupt(reason="its zip container is cut off or broken")
        _, _, _, _, entries, directory_bytes, _, _ = _END.unpack_from(tail, at)
        if entries != 0xFFFF and directory_bytes != 0xFFFFFFFF:
            return entries, directory_bytes
        return _directory_size64(file, tail, at) or (entries, directory_bytes)


def _directory_size64(file: BinaryIO, tail: bytes, at: int) -> tuple[int, int] | None:
    located = at - _END64_LOCATOR.size
    if located < 0 or tail[located : located + 4] != b"PK\6\7":
        return None
    file.seek(_END64_LOCATOR.unpack_from(tail, located)[2], os.SEEK_SET)
    record = file.read(_END64.size)
    if len(record) < _END64.size or record[:4] != b"PK\6\6":
        return None
    _, _, _, _, _, _, _, entries, directory_bytes, _ = _END64.unpack(record)
    return entries, directory_bytes


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
