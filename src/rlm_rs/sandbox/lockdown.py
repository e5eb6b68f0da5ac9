"""The kernel's border around step code: what is locked, in which order, and what was achieved.

The zygote takes the layers that forks inherit (`lock_zygote`), each child those of its own
(`lock_child`, then `close_border` once its step has arrived). seccomp is not optional: without it nothing
runs. The other layers are taken where the kernel permits them and reported.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource

from rlm_rs.sandbox import landlock, namespaces, seccomp
from rlm_rs.sandbox.layers import Layers
from rlm_rs.sandbox.libc import libc, prctl
from rlm_rs.sandbox.syscalls import SeccompUnavailable, machine

PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 4, 8, 24, 38
CAPABILITY_VERSION_3 = 0x20080522
LAST_CAPABILITY = 63
NOBODY = 65534
MAX_OPEN_FILES = 300


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def prefer_as_memory_victim() -> None:
    """Have the kernel end a step, not its host, when the machine runs out of memory (proc(5))."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
            score.write("1000")
    except OSError:
        return  # no /proc here: the limits still hold


def lock_zygote(entered: tuple[str, ...], leave_out: frozenset[str]) -> Layers:
    """Take every layer that children inherit. Raises `SeccompUnavailable` where there is none."""
    seccomp.check_available()
    seccomp.prepare()
    if "unprivileged_user" not in leave_out:
        _leave_root()
    unprivileged = os.geteuid() != 0
    if not {"user_namespace", "namespaces"} & leave_out:
        entered = namespaces.enter_late(entered)
    _drop_capabilities()
    prctl(PR_SET_DUMPABLE, 0)
    if prctl(PR_SET_NO_NEW_PRIVS, 1) != 0:
        raise SeccompUnavailable("the kernel refused no_new_privs")
    namespaces.die_with_parent()  # again: a change of user id forgets it
    abi = 0 if "landlock" in leave_out else landlock.restrict()
    _limit_children()
    return Layers(True, abi, entered, unprivileged)


def lock_child(parent: int) -> None:
    """Limits and the first filter, for a child of process `parent` that has not got its step yet."""
    namespaces.die_with_parent()
    if os.getppid() != parent:
        os._exit(0)  # the zygote was gone before the kernel was asked to tell
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    seccomp.install(seccomp.birth_filter(machine(), os.getpid()))


def close_border() -> None:
    """The second filter: from here on only step code runs, with no way to widen anything."""
    seccomp.install(seccomp.step_filter(machine()))


def rehearse_border() -> None:
    """Go through the motions of `close_border`: the kernel refuses a filter without instructions."""
    seccomp.step_filter(machine())
    with contextlib.suppress(SeccompUnavailable):
        seccomp.install(b"")


def _limit_children() -> None:
    """Limits that are the same for every child. The zygote itself keeps within them."""
    for name in ("FSIZE", "CORE", "MEMLOCK", "MSGQUEUE"):
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))


def _leave_root() -> None:
    """Become nobody, if this is root and may; files already open stay readable."""
    if os.geteuid() != 0:
        return
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError:
        return  # a container without CAP_SETUID: `Layers.unprivileged` says so


def _drop_capabilities() -> None:
    for capability in range(LAST_CAPABILITY + 1):
        prctl(PR_CAPBSET_DROP, capability)
    header = _CapabilityHeader(CAPABILITY_VERSION_3, 0)
    libc().capset(ctypes.byref(header), bytes(24))
