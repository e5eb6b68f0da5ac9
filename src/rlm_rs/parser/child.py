"""The parsing worker: reads jobs from standard input, answers on standard output, holds itself to limits.

It is started as `python -I` with an empty environment and no descriptors but its pipe and its log. It
ends when the pipe closes or its parent dies.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from typing import BinaryIO

from rlm_rs.parser.outcome import ParseLimits, ParseOutcome, outcome_to_dict
from rlm_rs.parser.parse import parse_file
from rlm_rs.parser.wire import HEADER, Job, frame, job_of

_PR_SET_PDEATHSIG = 1
_OPEN_FILES = 64
# Threads and mapped libraries take address space without using memory.
_ADDRESS_SPACE_SLACK = 4 << 30


def main(parent_pid: int) -> None:
    """Serve jobs until the pipe closes."""
    replies = _take_stdout()
    die_with_parent(parent_pid)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    while (job := _next_job(sys.stdin.buffer)) is not None:
        _limit(job)
        replies.write(frame(outcome_to_dict(_run(job))))
        replies.flush()


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel to kill this process when its parent ends (Linux); elsewhere the closed pipe ends it."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)


def _take_stdout() -> BinaryIO:
    """The reply pipe, moved away from descriptor 1, so that a library that prints cannot garble it."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def _next_job(pipe: BinaryIO) -> Job | None:
    header = pipe.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    (length,) = HEADER.unpack(header)
    return job_of(pipe.read(length))


def _run(job: Job) -> ParseOutcome:
    return parse_file(job.path, job.name, job.mime_type, job.output_dir, job.limits)


def _limit(job: Job) -> None:
    """Set this job's limits; only soft ones, since the next job's may be higher."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime + job.seconds) + 1
    _set_soft(resource.RLIMIT_CPU, seconds)
    _limit_sizes(job.limits)


def _limit_sizes(limits: ParseLimits) -> None:
    _set_soft(resource.RLIMIT_FSIZE, limits.text_bytes + (1 << 30))
    if sys.platform == "linux":
        _set_soft(resource.RLIMIT_DATA, limits.memory_bytes)
        _set_soft(resource.RLIMIT_AS, limits.memory_bytes + _ADDRESS_SPACE_SLACK)


def _set_soft(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (wanted, hard))


if __name__ == "__main__":
    main(os.getppid())
