"""A seccomp-BPF allow-list, assembled here and installed with ctypes.

Two filters. The first, as the child is born, lets through what CPython needs and what receiving a step
needs. The second, before the step's code runs, takes the latter away. Filters cannot be removed, and the
kernel takes the strictest verdict (seccomp(2)).
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterable, Iterator
from functools import cache

from rlm_rs.sandbox.libc import last_error, libc
from rlm_rs.sandbox.syscalls import (
    ALLOWED,
    CHECKED,
    EARLY,
    EARLY_REFUSED,
    REFUSED,
    Numbers,
    SeccompUnavailable,
    machine,
    number_of,
)

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

ANY_PID = 0x7FFFFFFE
"""Stands for the child's process id until that is known; no process has it, and no other operand is it."""

SECCOMP_SET_MODE_FILTER, SECCOMP_GET_ACTION_AVAIL = 1, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def check_available() -> None:
    """Raise `SeccompUnavailable` unless the kernel can end a process for a system call."""
    action = ctypes.c_uint32(KILL[3])
    call = number_of("seccomp")
    if libc().syscall(call, SECCOMP_GET_ACTION_AVAIL, 0, ctypes.byref(action)) != 0:
        reason = last_error()
        raise SeccompUnavailable(f"the kernel does not offer seccomp filters to this process ({reason})")


def prepare() -> None:
    """Assemble both filters, so that forks inherit them."""
    birth_filter(machine(), 0)
    step_filter(machine())


def install(program: bytes) -> None:
    """Filter this process's system calls from now on. Needs no_new_privs, or CAP_SYS_ADMIN."""
    filters = _Program(len(program) // 8, program)
    call = number_of("seccomp")
    if libc().syscall(call, SECCOMP_SET_MODE_FILTER, 0, ctypes.byref(filters)) != 0:
        reason = last_error()
        raise SeccompUnavailable(f"the kernel refused the seccomp filter ({reason})")


def birth_filter(architecture: str, pid: int) -> bytes:
    """The allow-list, for the process with id `pid` (as it sees itself)."""
    own = struct.pack("=I", pid)
    return _birth_template(architecture).replace(struct.pack("=I", ANY_PID), own)


@cache
def _birth_template(architecture: str) -> bytes:
    """Assembled once, by the zygote: a child only puts in its process id."""
    return assemble(_birth_instructions(architecture))


@cache
def step_filter(architecture: str) -> bytes:
    """Takes away what only receiving a step needed."""
    return assemble(_step_instructions(architecture))


def assemble(instructions: Iterable[Instruction]) -> bytes:
    """`struct sock_filter[]`."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


def _birth_instructions(architecture: str) -> Iterator[Instruction]:
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
        yield from _when(numbers, architecture, _condition(name))
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


def _condition(name: str) -> list[Instruction]:
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
        return [_argument(0), (JUMP_EQUAL, 0, 1, ANY_PID), ALLOW, KILL]
    assert name == "prlimit64"  # one's own limits only: pid 0
    return [_argument(0), (JUMP_EQUAL, 0, 1, 0), ALLOW, KILL]
