"""The clocks inside a step's process, which count its own CPU time and stop while it waits.

The soft one interrupts Python with `StepTimedOut`. Code that swallows it, or that loops in C where Python
never looks, meets the hard one a little later: a POSIX timer whose signal is SIGKILL, which no code can
catch and, with timer_delete(2) and timer_settime(2) filtered, no code can stop. RLIMIT_CPU stands behind.
"""

from __future__ import annotations

import ctypes
import resource
import signal
import struct
from types import FrameType

from rlm_rs.sandbox.failure import KEPT_FILE, STEP_FILE
from rlm_rs.sandbox.libc import libc
from rlm_rs.sandbox.limits import StepTimedOut
from rlm_rs.sandbox.syscalls import number_of

REPEAT_SECONDS = 0.05
"""Code that swallows the interruption is interrupted again this often."""
HARD_GRACE_SECONDS = 0.5
"""From the soft clock to the hard one: time to end the step's own way and write the result."""
PROBE_FILE = "<probe>"
INTERRUPTED_FILES = frozenset({STEP_FILE, KEPT_FILE, PROBE_FILE})

CLOCK_PROCESS_CPUTIME_ID = 2
TIMER_ABSTIME = 1


def cpu_seconds() -> float:
    """CPU time this process has used, in user and kernel mode."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


def start_hard(seconds: float) -> None:
    """Have the kernel end this process once it has used `seconds` of CPU time and the grace from now on."""
    deadline = cpu_seconds() + seconds + HARD_GRACE_SECONDS
    _set_kill_timer(deadline)
    limit = int(deadline) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))


def _set_kill_timer(deadline: float) -> None:
    """timer_create(2) and timer_settime(2). Where they fail, RLIMIT_CPU is left, in whole seconds."""
    event = struct.pack("=QiiQQQQQQ", 0, int(signal.SIGKILL), 0, *[0] * 6)
    timer = ctypes.c_int()
    create, settime = number_of("timer_create"), number_of("timer_settime")
    if libc().syscall(create, CLOCK_PROCESS_CPUTIME_ID, event, ctypes.byref(timer)) == 0:
        when = struct.pack("=qqqq", 0, 0, int(deadline), int(deadline % 1 * 1e9))
        libc().syscall(settime, timer, TIMER_ABSTIME, when, None)


def _time_out(_number: int, frame: FrameType | None) -> None:
    """Interrupt the step's own code, and never the step program when it gathers what the step leaves."""
    while frame is not None:
        if frame.f_code.co_filename in INTERRUPTED_FILES:
            raise StepTimedOut
        frame = frame.f_back


def start_soft(seconds: float) -> None:
    """Raise `StepTimedOut` once this process has used `seconds` of CPU time from now on, and repeatedly."""
    signal.signal(signal.SIGPROF, _time_out)
    signal.setitimer(signal.ITIMER_PROF, max(seconds, 0.001), REPEAT_SECONDS)


def stop_soft() -> None:
    """End the interruptions."""
    signal.setitimer(signal.ITIMER_PROF, 0)
