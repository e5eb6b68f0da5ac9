"""Attacks on the border itself, read from `kernel_attacks.txt`, and on its clocks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .attack import REFUSED, TIMEOUT, VIOLATION, Attack

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

TABLE = Path(__file__).with_name("kernel_attacks.txt")


def _read(lines: list[str]) -> Iterator[Attack]:
    name, code = "", [""]
    for line in [*lines, "end:"]:
        if line.startswith("    ") or not line:
            code.append(line)
        elif not line.startswith("#"):
            if name:
                plain = name.removesuffix(" (harmless)")
                yield Attack(plain, "\n".join(code).strip("\n"), (REFUSED, VIOLATION), plain != name)
            name, code = line.rstrip(":"), []


KERNEL_ATTACKS = tuple(_read(TABLE.read_text().splitlines()))

_LOOP = """
    while True:
        try:
            while True: pass
        except BaseException: pass"""

CLOCK_ATTACKS = tuple(
    Attack(name, code, (TIMEOUT,))
    for name, code in (
        ("swallow every interruption", _LOOP),
        (
            "ignore every signal",
            f"""
    for number in range(1, 65):
        try: signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError): pass
    {_LOOP}""",
        ),
        ("block every signal", f"    signal.pthread_sigmask(signal.SIG_SETMASK, range(1, 65)){_LOOP}"),
        ("stop the soft clock", f"    signal.setitimer(signal.ITIMER_PROF, 0){_LOOP}"),
        ("loop in C", "    sum(iter(int, 1))"),
        ("wait for ever", "    while True: call((202, 98), bytes(8), 0, 0, 0, 0, 0)"),
        ("wait for the host for ever", "    os.read(reply, 1)"),
    )
)


def source(attack: Attack, folder: str, port: int, victim: int) -> str:
    """The whole probe of an attack."""
    scene = f"ARM = {os.uname().machine == 'aarch64'}\nfolder, port, victim = {folder!r}, {port}, {victim}\n"
    return scene + PRELUDE.replace("{attack}", attack.code)
