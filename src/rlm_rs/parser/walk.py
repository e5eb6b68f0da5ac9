"""Folders as lists of their files: sorted, without hidden and ignored ones, safe against link cycles."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rlm_rs.core.corpus import Failure
from rlm_rs.core.ports import Fence
from rlm_rs.parser.failures import DocumentUnreadable
from rlm_rs.parser.ignore import IgnoreRules, rules_above


@dataclass(frozen=True, slots=True)
class Found:
    """A file below a folder: its path, its name relative to that folder, or why it cannot be read."""

    path: Path
    name: str
    byte_length: int = 0
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file or folder still to visit, with the rules of the folder it lies in."""

    path: str
    is_folder: bool
    rules: IgnoreRules


def walk(folder: Path, fence: Fence | None = None) -> Iterator[Found]:
    """Regular files below `folder`, by name within each folder, folders in place.

    Left out: names that start with a dot, what `.gitignore` files say, devices and sockets. Links are
    followed, but no folder is entered twice, nor one outside the fence. What cannot be read is yielded with
    a failure.
    """
    root = os.path.abspath(folder)
    seen: set[tuple[int, int]] = set()
    pending = [_Entry(root, True, rules_above(Path(root)))]
    while pending:
        entry = pending.pop()
        try:
            if entry.is_folder and fence is not None and not fence.holds(Path(entry.path)):
                continue
            if entry.is_folder:
                pending.extend(reversed(_entries(entry, seen)))
            elif found := _file(entry.path, root):
                yield found
        except OSError as error:
            yield Found(Path(entry.path), _name(entry.path, root), failure=unreadable(error))


def unreadable(error: OSError) -> Failure:
    """The failure of a document whose file the system does not let us open."""
    return DocumentUnreadable(reason=error.strerror or type(error).__name__).failure()


def _entries(folder: _Entry, seen: set[tuple[int, int]]) -> list[_Entry]:
    status = os.stat(folder.path)
    if (status.st_dev, status.st_ino) in seen:
        return []
    seen.add((status.st_dev, status.st_ino))
    rules = folder.rules.entered(Path(folder.path))
    with os.scandir(folder.path) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    visible.sort(key=lambda entry: entry.name)
    found = (_Entry(entry.path, _is_folder(entry), rules) for entry in visible)
    return [entry for entry in found if not rules.ignores(entry.path, entry.is_folder)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # a link to itself: what is wrong with it is told where it is read
        return False


def _file(path: str, root: str) -> Found | None:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        return None
    if not os.access(path, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return Found(Path(path), _name(path, root), status.st_size)


def _name(path: str, root: str) -> str:
    relative = os.path.relpath(path, root) if path != root else os.path.basename(root)
    return relative.replace(os.sep, "/")
