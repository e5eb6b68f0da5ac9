"""Which system calls a step's process may make, and their numbers.

Four lists. `ALLOWED` is what a running CPython with two text engines makes. `CHECKED` are allowed for
harmless arguments (`sandbox.seccomp` holds the conditions). `REFUSED` fail with EPERM, because libraries
try them and go on without. Every other call ends the process. `EARLY` are those of the first two that a
child needs until its step has arrived; they are taken away before the step's code runs.

Numbers: Linux arch/x86/entry/syscalls/syscall_64.tbl; include/uapi/asm-generic/unistd.h for arm64.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import NamedTuple

ARCHITECTURES = ("x86_64", "aarch64")


class SeccompUnavailable(Exception):
    """This kernel, container or machine cannot filter system calls. The message says why."""


class Numbers(NamedTuple):
    """A system call's number on each architecture; None where it does not exist."""

    x86_64: int | None
    aarch64: int | None


ALLOWED: dict[str, Numbers] = {
    "read": Numbers(0, 63),
    "write": Numbers(1, 64),
    "futex": Numbers(202, 98),
    "munmap": Numbers(11, 215),
    "brk": Numbers(12, 214),
    "mremap": Numbers(25, 216),
    "madvise": Numbers(28, 233),
    "close": Numbers(3, 57),
    "lseek": Numbers(8, 62),
    "pread64": Numbers(17, 67),
    "rt_sigaction": Numbers(13, 134),
    "rt_sigprocmask": Numbers(14, 135),
    "rt_sigreturn": Numbers(15, 139),
    "sigaltstack": Numbers(131, 132),
    "restart_syscall": Numbers(219, 128),
    "setitimer": Numbers(38, 103),
    "getitimer": Numbers(36, 102),
    "clock_gettime": Numbers(228, 113),
    "clock_getres": Numbers(229, 114),
    "gettimeofday": Numbers(96, 169),
    "time": Numbers(201, None),
    "getrusage": Numbers(98, 165),
    "getrandom": Numbers(318, 278),
    "getpid": Numbers(39, 172),
    "getppid": Numbers(110, 173),
    "gettid": Numbers(186, 178),
    "getuid": Numbers(102, 174),
    "geteuid": Numbers(107, 175),
    "getgid": Numbers(104, 176),
    "getegid": Numbers(108, 177),
    "sched_yield": Numbers(24, 124),
    "sched_getaffinity": Numbers(204, 123),
    "set_robust_list": Numbers(273, 99),
    "rseq": Numbers(334, 293),
    "exit": Numbers(60, 93),
    "exit_group": Numbers(231, 94),
    "fstat": Numbers(5, 80),
    "recvmsg": Numbers(47, 212),
    "seccomp": Numbers(317, 277),
    "prctl": Numbers(157, 167),
    "setrlimit": Numbers(160, 164),
    "newfstatat": Numbers(262, 79),
    "timer_create": Numbers(222, 107),
    "timer_settime": Numbers(223, 110),
}

CHECKED: dict[str, Numbers] = {
    "mmap": Numbers(9, 222),
    "mprotect": Numbers(10, 226),
    "fcntl": Numbers(72, 25),
    "tgkill": Numbers(234, 131),
    "prlimit64": Numbers(302, 261),
}

EARLY = (
    "recvmsg",
    "seccomp",
    "prctl",
    "setrlimit",
    "prlimit64",
    "newfstatat",
    "timer_create",
    "timer_settime",
)

EARLY_REFUSED = frozenset({"newfstatat", "prlimit64"})
"""Those of `EARLY` that later fail with EPERM; the others end the process."""

REFUSED: dict[str, Numbers] = {
    "open": Numbers(2, None),
    "openat": Numbers(257, 56),
    "stat": Numbers(4, None),
    "lstat": Numbers(6, None),
    "statx": Numbers(332, 291),
    "access": Numbers(21, None),
    "faccessat": Numbers(269, 48),
    "faccessat2": Numbers(439, 439),
    "readlink": Numbers(89, None),
    "readlinkat": Numbers(267, 78),
    "getdents64": Numbers(217, 61),
    "getcwd": Numbers(79, 17),
    "ioctl": Numbers(16, 29),
    "uname": Numbers(63, 160),
    "sysinfo": Numbers(99, 179),
    "getrlimit": Numbers(97, 163),
    "nanosleep": Numbers(35, 101),
    "clock_nanosleep": Numbers(230, 115),
    "poll": Numbers(7, None),
    "ppoll": Numbers(271, 73),
    "select": Numbers(23, None),
    "pselect6": Numbers(270, 72),
    "membarrier": Numbers(324, 283),
}


@cache
def machine() -> str:
    """The running architecture. Raises `SeccompUnavailable` for a machine without tables."""
    return architecture_of(sys.platform, os.uname().machine if hasattr(os, "uname") else "unknown")


def architecture_of(platform: str, name: str) -> str:
    """The architecture, if steps can be locked in on such a machine. Raises `SeccompUnavailable`."""
    if not platform.startswith("linux"):
        raise SeccompUnavailable(
            f"system calls can be filtered on Linux only, and this is {platform}."
            " Use a Linux machine, a Linux container, or WSL 2"
        )
    if name not in ARCHITECTURES:
        known = " and ".join(ARCHITECTURES)
        raise SeccompUnavailable(f"steps can be locked in on {known}, and this is {name}")
    return name


def number_of(name: str) -> int:
    """The number of an allowed system call on this machine."""
    number: int = getattr({**ALLOWED, **CHECKED}[name], machine())
    return number
