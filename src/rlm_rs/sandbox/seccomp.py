"""A seccomp-BPF allow-list, assembled here and installed with ctypes.

Two filters. The first, as the child is born, lets through what CPython needs and what receiving a step
needs. The second, before the step's code runs, takes the latter away. Filters cannot be removed, and the
kernel takes the strictest verdict (seccomp(2)).
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from functools import cache

from rlm_rs.sandbox.syscalls import ALLOWED, CHECKED, EARLY, EARLY_REFUSED, REFUSED, Numbers

Instruction = tuple[int, int, int, int]
"""code, jump if true, jump if false, operand: `struct sock_filter` (linux/filter.h)."""

LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06

KILL = (RETURN, 0, 0, 0x80000000)
ALLOW = (RETURN, 0, 0, 0x7FFF0000)
REFUSE = (RETURN, 0, 0, 0x00050000 | 1)
"""Fail with errno 1, EPERM."""

NUMBER_OFFSET, ARCHITECTURE_OFFSET, ARGUMENTS_OFFSET = 0, 4, 16
AUDIT_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32_BIT = 0x40000000
"""x86-64 calls with this bit use the x32 tables: same architecture, other numbers."""

PROT_WRITE, PROT_EXEC, MAP_SHARED = 2, 4, 1
FCNTL_COMMANDS = (1, 2, 1030)
"""F_GETFD, F_SETFD, F_DUPFD_CLOEXEC: what CPython's mmap does to a file it maps."""

SECCOMP_SET_MODE_FILTER, SECCOMP_GET_ACTION_AVAIL = 1, 2


class SeccompUnavailable(Exception):
    """This kernel, container or machine cannot filter system calls. The message says why."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


@cache
def machine() -> str:
    """The running architecture. Raises `SeccompUnavailable` for one without tables."""
    if not sys.platform.startswith("linux"):
        raise SeccompUnavailable(f"system calls can be filtered on Linux only, and this is {sys.platform}")
    name = os.uname().machine
    if name not in AUDIT_ARCHITECTURES:
        raise SeccompUnavailable(f"there is no system call table for the architecture {name}")
    return name


def check_available() -> None:
    """Raise `SeccompUnavailable` unless the kernel can end a process for a system call."""
    action = ctypes.c_uint32(KILL[3])
    call = _numbers(ALLOWED["seccomp"], machine())
    if _libc().syscall(call, SECCOMP_GET_ACTION_AVAIL, 0, ctypes.byref(action)) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise SeccompUnavailable(f"the kernel does not offer seccomp filters to this process ({reason})")


def install(program: bytes) -> None:
    """Filter this process's system calls from now on. Needs no_new_privs, or CAP_SYS_ADMIN."""
    filters = _Program(len(program) // 8, program)
    call = _numbers(ALLOWED["seccomp"], machine())
    if _libc().syscall(call, SECCOMP_SET_MODE_FILTER, 0, ctypes.byref(filters)) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise SeccompUnavailable(f"the kernel refused the seccomp filter ({reason})")


def birth_filter(architecture: str, pid: int) -> bytes:
    """The allow-list, for the process with id `pid` (as it sees itself)."""
    return assemble(_birth_instructions(architecture, pid))


@cache
def step_filter(architecture: str) -> bytes:
    """Takes away what only receiving a step needed."""
    return assemble(_step_instructions(architecture))


def assemble(instructions: Iterable[Instruction]) -> bytes:
    """`struct sock_filter[]`."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


def _birth_instructions(architecture: str, pid: int) -> Iterator[Instruction]:
    yield LOAD, 0, 0, ARCHITECTURE_OFFSET
    yield JUMP_EQUAL, 1, 0, AUDIT_ARCHITECTURES[architecture]
    yield KILL
    yield LOAD, 0, 0, NUMBER_OFFSET
    if architecture == "x86_64":
        yield JUMP_AT_LEAST, 0, 1, X32_BIT
        yield KILL
    for numbers in ALLOWED.values():
        yield from _when(numbers, architecture, [ALLOW])
    for name, numbers in CHECKED.items():
        yield from _when(numbers, architecture, _condition(name, pid))
    for numbers in REFUSED.values():
        yield from _when(numbers, architecture, [REFUSE])
    yield KILL


def _step_instructions(architecture: str) -> Iterator[Instruction]:
    yield LOAD, 0, 0, NUMBER_OFFSET
    for name in EARLY:
        verdict = REFUSE if name in EARLY_REFUSED else KILL
        yield from _when({**ALLOWED, **CHECKED}[name], architecture, [verdict])
    yield ALLOW


def _when(numbers: Numbers, architecture: str, verdict: list[Instruction]) -> Iterator[Instruction]:
    """`verdict`, which ends in a return, for one system call; nothing where it does not exist."""
    number: int | None = getattr(numbers, architecture)
    if number is not None:
        yield JUMP_EQUAL, 0, len(verdict), number
        yield from verdict


def _argument(position: int) -> Instruction:
    """Load the low half of an argument: the arguments checked are C ints and flag words."""
    return LOAD, 0, 0, ARGUMENTS_OFFSET + 8 * position


def _condition(name: str, pid: int) -> list[Instruction]:
    if name == "mmap":
        writable = [_argument(3), (JUMP_BITS, 0, 1, MAP_SHARED), REFUSE, ALLOW]
        return [
            _argument(2),
            (JUMP_BITS, 0, 1, PROT_EXEC),
            REFUSE,
            (JUMP_BITS, 1, 0, PROT_WRITE),
            ALLOW,
            *writable,
        ]
    if name == "mprotect":
        return [_argument(2), (JUMP_BITS, 0, 1, PROT_EXEC), REFUSE, ALLOW]
    if name == "fcntl":
        known = [part for command in FCNTL_COMMANDS for part in ((JUMP_EQUAL, 0, 1, command), ALLOW)]
        return [_argument(1), *known, REFUSE]
    if name == "tgkill":  # abort(3) ends the process with a signal to itself
        return [_argument(0), (JUMP_EQUAL, 0, 1, pid), ALLOW, KILL]
    assert name == "prlimit64"  # one's own limits only: pid 0
    return [_argument(0), (JUMP_EQUAL, 0, 1, 0), ALLOW, KILL]


def _numbers(numbers: Numbers, architecture: str) -> int:
    number: int = getattr(numbers, architecture)
    return number


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
