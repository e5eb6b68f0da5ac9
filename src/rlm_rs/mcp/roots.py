"""The folders whose files a client may name: everything else does not exist for it.

Paths come from a model, and what a model says may come from a document. So a path is followed to where it
really leads before it is compared, and a file is opened from its root down, through no link at all.
"""

from __future__ import annotations

import errno
import glob
import os
import shutil
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rlm_rs.core.errors import ValidationFailed

MAX_FILES = 10_000
MAX_BYTES = 4 << 30
COPY_BYTES = 1 << 20
FILE_SCHEME = "file"

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# a pipe would wait for its writer
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class OutsideRoots(ValidationFailed):
    """{path} is not in a folder this server may read ({roots}). Use paths below those, or ask the user to
    allow its folder with `rlm mcp --root DIR`."""


@dataclass(slots=True)
class Roots:
    """A `core.ports.Fence` around some folders, for the files of one session.

    folders: absolute, with every link followed. What it has let through is counted: a folder named by
    mistake is not copied until the disk is full.
    """

    folders: tuple[Path, ...]
    max_files: int = MAX_FILES
    max_bytes: int = MAX_BYTES
    _files: int = field(default=0, init=False)
    _bytes: int = field(default=0, init=False)

    @classmethod
    def of(cls, folders: Iterable[str | Path]) -> Roots:
        """Roots of the folders that there are; one that is no folder is left out."""
        real = (_real(Path(folder)) for folder in folders)
        return cls(tuple(dict.fromkeys(folder for folder in real if folder is not None and folder.is_dir())))

    def named(self, path: str) -> str:
        """The absolute path that a client means, inside; wildcards stay.

        A relative path is below the first root that has it. Raises `OutsideRoots`, also for a path that does
        not exist there, and `ValidationFailed` for what is no path.
        """
        text = _local(path)
        candidates = [text] if os.path.isabs(text) else [str(root / text) for root in self.folders]
        inside = [candidate for candidate in candidates if self._may_name(candidate)]
        if not inside:
            raise OutsideRoots(path=path, roots=self.in_words())
        return next((candidate for candidate in inside if os.path.lexists(candidate)), inside[0])

    def holds(self, path: Path) -> bool:
        """Whether a path, once every link in it is followed, is inside."""
        real = _real(path)
        return real is not None and self._root_of(real) is not None

    def take(self, path: Path, copy: Path) -> None:
        """Copy a file that is inside. Raises `PermissionError`, `OSError`, `ValidationFailed`."""
        real = _real(path)
        root = self._root_of(real) if real is not None else None
        if real is None or root is None:
            raise PermissionError(errno.EACCES, "it is outside the folders that may be read")
        with os.fdopen(_opened(root, real.relative_to(root).parts), "rb") as source:
            self._count(os.fstat(source.fileno()).st_size)
            with copy.open("xb") as target:
                shutil.copyfileobj(source, target, COPY_BYTES)

    def in_words(self) -> str:
        """The folders, for a message."""
        return ", ".join(map(str, self.folders)) or "none is allowed"

    def _may_name(self, path: str) -> bool:
        """Whether what a path names, or the folder its first wildcard stands in, is inside."""
        if os.path.lexists(path) or not glob.has_magic(path):
            return self.holds(Path(path))
        parts = Path(path).parts
        first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
        return ".." not in parts[first:] and self.holds(Path(*parts[:first]))

    def _root_of(self, real: Path) -> Path | None:
        return next((root for root in self.folders if real.is_relative_to(root)), None)

    def _count(self, size: int) -> None:
        self._files, self._bytes = self._files + 1, self._bytes + size
        if self._files > self.max_files or self._bytes > self.max_bytes:
            raise ValidationFailed(
                reason=f"These paths hold more than {self.max_files:,} files or {self.max_bytes >> 20:,} MB. "
                "Name the folders or files that matter."
            )


def folders_of(uris: Sequence[str]) -> list[str]:
    """The folders that a client names as its roots, as paths; what is not of this machine is left out."""
    return [_local(uri) for uri in uris if uri.startswith(f"{FILE_SCHEME}:")]


def _local(path: str) -> str:
    """A path or `file:` URI (RFC 8089) as a path."""
    if "\0" in path or not path.strip():
        raise ValidationFailed(reason="A path must not be empty or hold a null character.")
    if not path.startswith(f"{FILE_SCHEME}:"):
        return os.path.expanduser(path)
    parts = urlsplit(path)
    local = unquote(parts.path)
    if parts.netloc not in ("", "localhost") or "\0" in local or not os.path.isabs(local):
        raise ValidationFailed(reason=f"{path[:200]} names no file of this machine. Give a path.")
    return local


def _real(path: Path) -> Path | None:
    """Where a path leads, or None for one that leads nowhere: in a circle, or with a name too long."""
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError):
        return None


def _opened(root: Path, parts: Sequence[str]) -> int:
    """A regular file below a root, through no link: one put there since the path was followed is refused."""
    folder = os.open(root, _FOLDER)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        file = os.open(parts[-1] if parts else ".", _FILE, dir_fd=folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise PermissionError(errno.EACCES, "it is not a regular file")
    return file
