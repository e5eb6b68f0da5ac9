"""Namespaces of its own for the zygote: no network device, no foreign process, no shared memory in sight.

They are entered before anything heavy is imported, because a process namespace begins with the next
fork: the first process stays behind only to wait. Where they are not permitted (containers, AWS Lambda)
the zygote goes on without and says so.
"""

from __future__ import annotations

import os
import signal

from rlm_rs.sandbox.libc import libc, prctl

FLAGS = {"net": 0x40000000, "ipc": 0x08000000, "uts": 0x04000000, "pid": 0x20000000}
USER = 0x10000000
"""CLONE_NEW* of unshare(2)."""

PR_SET_PDEATHSIG = 1


def unshare(flags: int) -> bool:
    """Whether the kernel let this process enter new namespaces."""
    return bool(libc().unshare(flags) == 0)


def die_with_parent() -> None:
    """Have this process killed when the thread that forked it ends (prctl(2), PR_SET_PDEATHSIG)."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _enter_some(user_allowed: bool) -> tuple[str, ...]:
    every = sum(FLAGS.values())
    if os.geteuid() == 0:
        return tuple(FLAGS) if unshare(every) else ()
    return ("user", *FLAGS) if user_allowed and unshare(USER | every) else ()


def enter_late(entered: tuple[str, ...]) -> tuple[str, ...]:
    """A user namespace, and with it those still missing that do not begin with a fork; returns all."""
    if "user" in entered:
        return entered
    missing = [name for name in FLAGS if name not in entered and name != "pid"]
    if not unshare(USER | sum(FLAGS[name] for name in missing)):
        return entered
    return ("user", *entered, *missing)


def enter(leave_out: frozenset[str]) -> tuple[str, ...]:
    """Enter the namespaces this process may have, in a child where needed; returns their names.

    The process that called does not return if a child goes on in its place: it waits for that child and
    ends as it did.
    """
    if "namespaces" in leave_out:
        return ()
    entered = _enter_some("user_namespace" not in leave_out)
    if "pid" in entered:
        _continue_in_child()
    return entered


def _continue_in_child() -> None:
    pid = os.fork()
    if pid == 0:
        die_with_parent()
        return
    os.closerange(0, 1 << 16)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)
