"""From what a user names (files, folders, globs, archives, `-`) to the sources of a session."""

from __future__ import annotations

import errno
import glob
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from rlm_rs.core.corpus import Source
from rlm_rs.core.errors import SourceNotFound, ValidationFailed
from rlm_rs.core.ports import Fence
from rlm_rs.parser.archives import DEFAULT_LIMITS, ArchiveLimits, Unpacked, is_archive, unpack
from rlm_rs.parser.failures import DocumentEmpty, DocumentTooLarge, DocumentUnsupported
from rlm_rs.parser.ignore import compiled
from rlm_rs.parser.media import guess_type
from rlm_rs.parser.spool import SpoolFile
from rlm_rs.parser.walk import Found, unreadable, walk

STDIN = "-"
_COPY_BYTES = 1 << 20
_MAX_ARCHIVE_DEPTH = 3


def discover(
    paths: Sequence[str],
    *,
    spool_dir: Path,
    stdin: BinaryIO | None = None,
    limits: ArchiveLimits = DEFAULT_LIMITS,
    fence: Fence | None = None,
) -> list[Source]:
    """The sources that `paths` name, in the order named, folders sorted by name; each file once.

    Files are named as they are called, folder and glob contents relative to the folder; a name taken
    already gets the name of its folder in front. Archives are replaced by their files
    (`archive.zip/inner/file.txt`); these and standard input (`-`) are written to `spool_dir`. With a fence,
    every file is copied there by it before anything else is done with it, and there is no standard input.

    Raises `SourceNotFound` for a path that does not exist, before anything is read, and `ValidationFailed`
    when nothing at all is found, or the fence has had enough. What exists but cannot be read is a source with
    a failure.
    """
    arguments = [_Argument.of(path) for path in paths]
    discovery = _Discovery(spool_dir, stdin, limits, fence)
    for argument in arguments:
        discovery.add(argument)
    if not discovery.sources:
        raise ValidationFailed(reason=_nothing_found(paths))
    return discovery.sources


@dataclass(frozen=True, slots=True)
class _Argument:
    """One thing the user named. `matches`: the files of a glob pattern that goes through folders."""

    text: str
    path: Path
    pattern: str | None = None

    @classmethod
    def of(cls, text: str) -> _Argument:
        """Raises `SourceNotFound` when it names nothing."""
        if text == STDIN or os.path.lexists(text):
            return cls(text, Path(text))
        if not glob.has_magic(text):
            raise SourceNotFound(path=text)
        root = _fixed_part(text)
        if not any(True for _ in glob.iglob(text, recursive=True)):
            raise SourceNotFound(path=text)
        return cls(text, root, os.path.relpath(text, root))

    def found(self, fence: Fence | None) -> Iterator[Found]:
        """The files it stands for, before archives are unpacked."""
        if self.pattern is not None:
            yield from _glob(self.path, self.pattern, fence)
        elif self.path.is_dir():
            yield from walk(self.path, fence)
        else:
            yield _single(self.path)


def _fixed_part(pattern: str) -> Path:
    """The folder a glob pattern starts from: its parts before the first one with a wildcard."""
    fixed: list[str] = []
    for part in Path(pattern).parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return Path(*fixed)


def _glob(root: Path, pattern: str, fence: Fence | None) -> Iterator[Found]:
    if "**" in pattern:
        specs = compiled([f"/{pattern}"])
        if not specs:
            raise ValidationFailed(reason=f"{pattern}: this pattern cannot be read. Name the folder instead.")
        yield from (found for found in walk(root, fence) if specs[0].match_file(found.name))
        return
    for match in sorted(glob.iglob(pattern, root_dir=root)):
        path = root / match
        if fence is not None and not fence.holds(path.parent):
            continue
        if path.is_dir():
            yield from (replace(found, name=f"{match}/{found.name}") for found in walk(path, fence))
        else:
            yield replace(_single(path), name=Path(match).as_posix())


def _single(path: Path) -> Found:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISFIFO(status.st_mode):
            failure = DocumentUnsupported("a device or socket", "Name a file or folder.").failure()
            return Found(path, path.name, failure=failure)
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return Found(path, path.name, status.st_size)
    except OSError as error:
        return Found(path, path.name, failure=unreadable(error))


def _nothing_found(paths: Sequence[str]) -> str:
    if not paths:
        return "Name at least one file or folder to read, or - for standard input."
    return (
        f"{paths[0]}: there is nothing to read in it. Hidden files and those that .gitignore leaves out are "
        "skipped; name a file itself to read it anyway."
    )


@dataclass(slots=True)
class _Discovery:
    """Collects sources: unpacks, spools, and keeps names and files unique."""

    spool_dir: Path
    stdin: BinaryIO | None
    limits: ArchiveLimits
    fence: Fence | None = None
    sources: list[Source] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)
    _paths: set[str] = field(default_factory=set)
    _own_files: str = field(init=False)

    def __post_init__(self) -> None:
        self._own_files = os.path.join(os.path.abspath(self.spool_dir), "")

    def add(self, argument: _Argument) -> None:
        if argument.text == STDIN and self.fence is None:
            self._add_stream(self.stdin or sys.stdin.buffer, "stdin")
            return
        for found in argument.found(self.fence):
            self._add_found(found, _folder_name(argument.path))

    def _add_found(self, found: Found, folder: str) -> None:
        absolute = os.path.abspath(found.path)
        if absolute in self._paths or absolute.startswith(self._own_files):
            return
        self._paths.add(absolute)
        if self.fence is not None and found.failure is None:
            found = self._taken(found, self.fence)
        if found.failure is None and _is_fifo(found):
            with found.path.open("rb") as stream:
                self._add_stream(stream, found.name)
        elif found.failure is None and is_archive(found.name):
            unpacked = Unpacked(self.limits, found.byte_length)
            self._add_archive(found, self._unique(found.name, folder), unpacked, depth=1)
        else:
            self._append(found, self._unique(found.name, folder))

    def _taken(self, found: Found, fence: Fence) -> Found:
        """The same file as a copy of our own, so that nothing outside the fence is ever opened."""
        copy = self._spool() / "taken"
        try:
            fence.take(found.path, copy)
        except OSError as error:
            return replace(found, failure=unreadable(error))
        return replace(found, path=copy, byte_length=copy.stat().st_size)

    def _add_archive(self, archive: Found, name: str, unpacked: Unpacked, depth: int) -> None:
        before = len(self.sources)
        for member in unpack(archive.path, self._spool(), unpacked):
            inner = f"{name}/{member.name}" if member.name else name
            if member.failure is None and is_archive(member.name) and depth < _MAX_ARCHIVE_DEPTH:
                self._add_archive(member, self._unique(inner, ""), unpacked, depth + 1)
            else:
                self._append(member, inner if inner == name else self._unique(inner, ""))
        if len(self.sources) == before:
            self._append(replace(archive, failure=DocumentEmpty().failure()), name)

    def _add_stream(self, stream: BinaryIO, name: str) -> None:
        path = self._spool() / "stream"
        length, limit = 0, self.limits.total_bytes
        with SpoolFile(path) as file:
            while (data := stream.read(_COPY_BYTES)) and length <= limit:
                file.write(data)
                length += len(data)
        failure = None
        if length > limit:
            failure = DocumentTooLarge(what="what was piped in", limit=f"{limit >> 20} MB").failure()
        self._append(Found(path, name, length, failure), self._unique(name, ""))

    def _append(self, found: Found, name: str) -> None:
        self.sources.append(Source(name, found.path, guess_type(name), found.byte_length, found.failure))

    def _unique(self, name: str, folder: str) -> str:
        """The name, or with its folder's name in front, or with a number, whichever is free."""
        name = os.fsencode(name).decode("utf-8", "replace")
        candidate = name
        if name in self._names and folder:
            candidate = name = f"{folder}/{name}"
        number = 2
        while candidate in self._names:
            stem, dot, ending = name.rpartition(".")
            candidate = f"{stem} ({number}).{ending}" if dot and stem else f"{name} ({number})"
            number += 1
        self._names.add(candidate)
        return candidate

    def _spool(self) -> Path:
        self.spool_dir.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self.spool_dir))


def _folder_name(path: Path) -> str:
    absolute = Path(os.path.abspath(path))
    return absolute.name if absolute.is_dir() else absolute.parent.name


def _is_fifo(found: Found) -> bool:
    return stat.S_ISFIFO(found.path.stat().st_mode)
