"""Archives as their files: checked for bombs first, then unpacked under our own names, never theirs."""

from __future__ import annotations

import stat
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from rlm_rs.parser.failures import (
    DocumentBomb,
    DocumentCorrupt,
    DocumentEncrypted,
    DocumentFailed,
    DocumentTooLarge,
    DocumentUnsupported,
)
from rlm_rs.parser.spool import SpoolFile
from rlm_rs.parser.tars import BROKEN_TAR, members, open_tar
from rlm_rs.parser.walk import Found
from rlm_rs.parser.zips import BROKEN_ZIP, ContainerLimits, check_directory, check_sizes

_COPY_BYTES = 1 << 20
_ZIP_ENDINGS = (".zip",)
_TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_BROKEN = (*BROKEN_ZIP, *BROKEN_TAR)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What one archive may unpack to, those inside it included.

    `ratio` (unpacked to packed) counts only above `floor_bytes`.
    """

    total_bytes: int = 8 << 30
    members: int = 100_000
    ratio: int = 200
    floor_bytes: int = 64 << 20

    def as_container(self) -> ContainerLimits:
        """The same in the words of a zip container."""
        return ContainerLimits(self.total_bytes, self.members, self.ratio, self.floor_bytes)


DEFAULT_LIMITS = ArchiveLimits()


@dataclass(slots=True)
class Unpacked:
    """How much came out of one archive so far, and out of those inside it. `packed`: its own bytes."""

    limits: ArchiveLimits
    packed: int
    members: int = 0
    total: int = 0

    def add(self, members: int, length: int) -> None:
        """Count members before they are written. Raises `DocumentFailed` where that is too much."""
        limits, total = self.limits, self.total + length
        if self.members + members > limits.members:
            raise DocumentBomb(reason=f"more than {limits.members} members")
        if total > limits.total_bytes:
            raise DocumentTooLarge(what="what it unpacks to", limit=f"{limits.total_bytes >> 20} MB")
        if total > limits.floor_bytes and total > self.packed * limits.ratio:
            raise DocumentBomb(reason=f"it unpacks to more than {limits.ratio} times its size")
        self.members += members
        self.total = total


def is_archive(name: str) -> bool:
    """Whether the name ends like an archive that `unpack` reads. Office files and books are documents."""
    return name.lower().endswith(_ZIP_ENDINGS + _TAR_ENDINGS)


def unpack(path: Path, target: Path, unpacked: Unpacked) -> Iterator[Found]:
    """Write an archive's files into `target` (an empty folder); yield each with its name inside.

    Hidden files, links and folders are left out. A member that cannot be read has a failure; an archive
    that cannot be unpacked as a whole is one failure with an empty name. Raises `StorageFailed` where there
    is no room for the files.
    """
    try:
        unpacker = _unpack_zip if _is_zip(path) else _unpack_tar
        yield from unpacker(path, target, unpacked)
    except DocumentFailed as error:
        yield Found(path, "", failure=error.failure())
    except _BROKEN as error:
        yield Found(path, "", failure=DocumentCorrupt(reason=f"not a whole archive: {error}"[:120]).failure())


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _unpack_zip(path: Path, target: Path, unpacked: Unpacked) -> Iterator[Found]:
    check_directory(path, unpacked.limits.members)
    with zipfile.ZipFile(path) as archive:
        check_sizes(archive.infolist(), path.stat().st_size, unpacked.limits.as_container())
        unpacked.add(len(archive.infolist()), sum(member.file_size for member in archive.infolist()))
        for number, member in enumerate(archive.infolist()):
            if member.is_dir() or _is_link(member) or _is_hidden(member.filename):
                continue
            yield _zip_member(archive, member, target / str(number))


def _zip_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> Found:
    name = member.filename
    try:
        name = _safe_name(member.filename)
        if member.flag_bits & 1:
            raise DocumentEncrypted
        with archive.open(member) as stream:
            return Found(path, name, _copy(stream, path, member.file_size))
    except DocumentFailed as error:
        return Found(path, _shown_name(name), failure=error.failure())
    except NotImplementedError:
        failure = DocumentUnsupported(
            "packed in an unknown way", "Pack it again as an ordinary zip."
        ).failure()
        return Found(path, name, failure=failure)
    except (*_BROKEN, RuntimeError) as error:
        return Found(path, name, failure=DocumentCorrupt(reason=str(error)[:120]).failure())


def _unpack_tar(path: Path, target: Path, unpacked: Unpacked) -> Iterator[Found]:
    with open_tar(path) as archive:
        for number, member in enumerate(members(archive)):
            unpacked.add(1, member.size)
            if not member.isreg() or _is_hidden(member.name):
                continue
            yield _tar_member(archive, member, target / str(number))


def _tar_member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> Found:
    try:
        name = _safe_name(member.name)
    except DocumentFailed as error:
        return Found(path, _shown_name(member.name), failure=error.failure())
    stream = archive.extractfile(member)
    if stream is None:
        return Found(path, name, failure=DocumentCorrupt(reason="no content in the archive").failure())
    return Found(path, name, _copy(stream, path, member.size))


def _copy(stream: IO[bytes], path: Path, declared: int) -> int:
    length = 0
    with SpoolFile(path) as file:
        while data := stream.read(_COPY_BYTES):
            length += len(data)
            if length > declared:
                raise DocumentBomb(reason="it is larger than its header says")
            file.write(data)
    return length


def _safe_name(name: str) -> str:
    """The member's name as a relative path. One that points outside the archive is refused."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise DocumentBomb(reason="its name in the archive points outside the archive")
    return str(path)


def _shown_name(name: str) -> str:
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", ".", ".."))


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part == "__MACOSX" or (part.startswith(".") and part not in (".", "..")) for part in parts)


def _is_link(member: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(member.external_attr >> 16)
