"""A process's own temporary folder beside the data, where files move into place instead of being copied."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from uuid import uuid4

LOCK = ".lock"


class Spool:
    """Made when first asked for, removed on `close`; those of processes that were killed go with the next.

    A lock on a file beside it tells the living from the dead, also between containers.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._name = f"spool_{uuid4().hex}"
        self._lock: int | None = None

    def folder(self) -> Path:
        """The folder. Raises `OSError` where there can be none."""
        folder = self._root / self._name
        if self._lock is None:
            self._root.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(folder.with_suffix(LOCK))
            self._remove_dead()
        folder.mkdir(exist_ok=True)
        return folder

    def close(self) -> None:
        """Remove the folder and what is in it."""
        if self._lock is not None:
            _remove(self._root / self._name)
            os.close(self._lock)
            self._lock = None

    def _remove_dead(self) -> None:
        for path in self._root.glob(f"*{LOCK}"):
            if path.stem != self._name and (lock := _locked(path)) is not None:
                _remove(path.with_suffix(""))
                os.close(lock)


def _locked(path: Path) -> int | None:
    """The file's descriptor with its lock, None while somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_suffix(LOCK).unlink(missing_ok=True)
