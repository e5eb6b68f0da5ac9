"""Attacks on the border itself, and on its clocks, read from `kernel_attacks.txt`."""

from __future__ import annotations

import os
import textwrap

from .attack import REFUSED, VIOLATION, Attack, read_table

PRELUDE = """\
import ctypes, os, signal, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(numbers, *args):
    ctypes.set_errno(0)
    words = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result = libc.syscall(ctypes.c_long(numbers[ARM]), *words)
    if result < 0:
        raise OSError(ctypes.get_errno(), 'refused')
    return result
outcome = None
try:
{attack}
except (OSError, ImportError, ValueError):
    outcome = 'refused'
outcome = outcome or 'REACHED'
"""

KERNEL_ATTACKS = read_table("kernel_attacks.txt", (REFUSED, VIOLATION))


def source(attack: Attack, folder: str, port: int, victim: int) -> str:
    """The whole probe of an attack."""
    scene = f"ARM = {os.uname().machine == 'aarch64'}\nfolder, port, victim = {folder!r}, {port}, {victim}\n"
    return scene + PRELUDE.replace("{attack}", textwrap.indent(attack.code, "    "))
