"""The C library, for the system calls Python does not offer."""

from __future__ import annotations

import ctypes
import os
from functools import cache


@cache
def libc() -> ctypes.CDLL:
    """The C library of this process. Calls leave errno for `last_error`."""
    return ctypes.CDLL(None, use_errno=True)


def last_error() -> str:
    """Why the last call failed, in words."""
    return os.strerror(ctypes.get_errno())


def prctl(option: int, value: int) -> int:
    """prctl(2) with one argument: 0, or -1."""
    words = [ctypes.c_ulong(word) for word in (value, 0, 0, 0)]
    return int(libc().prctl(option, *words))
