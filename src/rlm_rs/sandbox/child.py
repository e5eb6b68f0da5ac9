"""One child of the zygote: receives a step, runs it under its clocks, replies, ends.

Everything here runs in a process that is thrown away. It holds its reply socket and the read-only files
of one corpus image and nothing else.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import FrameType
from typing import NoReturn

from rlm_rs.sandbox import frames, lockdown
from rlm_rs.sandbox.corpus import MappedCorpus
from rlm_rs.sandbox.executor import run_step
from rlm_rs.sandbox.limits import StepTimedOut
from rlm_rs.sandbox.protocol import (
    StepLimits,
    StepRequest,
    StepResult,
    StepUsage,
    SubcallRequest,
    SubcallResult,
    from_dict,
    to_json,
)

MAX_DESCRIPTORS = 253
"""Linux passes at most this many descriptors with one message (SCM_MAX_FD, unix(7))."""
TIMEOUT_REPEAT_SECONDS = 0.05
"""Code that swallows the timeout is interrupted again this often, until the hard CPU limit ends it."""
CPU_GRACE_SECONDS = 1

WARMING = "for number in range(3):\n    print(f'{number}')"

FAILURE_CHARS = 2_000


@dataclass(slots=True)
class ReplyChannel:
    """The step's way to its host: writes the calls it stops at, blocks for their answers."""

    descriptor: int
    waited_seconds: float = 0.0

    def ask(self, requests: Sequence[SubcallRequest]) -> Sequence[SubcallResult]:
        """Suspend the step at `requests`; return what the host answers, in its order."""
        asked = time.monotonic()
        suspended = StepResult(status="suspended", requests=tuple(requests))
        frames.write_frame(self.descriptor, frames.REPLY, to_json(suspended))
        _, body = frames.read_frame(self.descriptor)
        self.waited_seconds += time.monotonic() - asked
        return [from_dict(SubcallResult, item) for item in json.loads(body)]


def receive_step(reply_socket: socket.socket) -> tuple[bytes, bytes, list[int]]:
    """Block for the first frame: its kind, its body and the corpus image's descriptors."""
    space = socket.CMSG_LEN(MAX_DESCRIPTORS * 4)
    head, ancillary, _, _ = reply_socket.recvmsg(frames.HEADER.size, space)
    if len(head) < frames.HEADER.size:
        raise frames.ConnectionEnded
    kind, length = frames.HEADER.unpack(head)
    descriptors = [number for _, _, data in ancillary for number in memoryview(data).cast("i")]
    return kind, frames.read_exactly(reply_socket.fileno(), length), descriptors


def set_step_limits(limits: StepLimits, baseline_data_bytes: int) -> None:
    """The limits that depend on the step: private memory, and the CPU time C loops cannot ignore.

    RLIMIT_DATA and not RLIMIT_AS: mapped documents may be far larger than the memory allowed.
    """
    data = baseline_data_bytes + (limits.memory_mb << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    spent = resource.getrusage(resource.RUSAGE_SELF)
    cpu = int(spent.ru_utime + spent.ru_stime + limits.seconds) + CPU_GRACE_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))


def _time_out(_number: int, _frame: FrameType | None) -> NoReturn:
    raise StepTimedOut


def start_clock(seconds: float) -> None:
    """From now on raise `StepTimedOut` after `seconds` of this process's own CPU time, and repeatedly."""
    signal.signal(signal.SIGPROF, _time_out)
    signal.setitimer(signal.ITIMER_PROF, max(seconds, 0.001), TIMEOUT_REPEAT_SECONDS)


def stop_clock() -> None:
    """End the interruptions; the hard CPU limit stays."""
    signal.setitimer(signal.ITIMER_PROF, 0)


def _cpu_seconds() -> float:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


def run_under_clock(request: StepRequest, corpus: MappedCorpus, channel: ReplyChannel) -> StepResult:
    """Run the step and fill in what it used."""
    began, cpu_before = time.monotonic(), _cpu_seconds()
    start_clock(request.limits.seconds)
    result = run_step(request, corpus, channel)
    stop_clock()
    usage = StepUsage(
        wall_seconds=time.monotonic() - began - channel.waited_seconds,
        cpu_seconds=_cpu_seconds() - cpu_before,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )
    return replace(result, usage=usage)


def empty_corpus() -> MappedCorpus:
    """A corpus without documents: its tables are an empty file."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        return MappedCorpus.open([nothing] * 4)
    finally:
        os.close(nothing)


def warm(nothing: MappedCorpus) -> None:
    """Run a step of nothing, so that the pages it touches are this process's own before a step arrives."""
    run_step(StepRequest("", 0, WARMING), nothing, ReplyChannel(-1))


def run_probe(source: str) -> bytes:
    """Run Python with no language layer; the probe leaves what it has to say in `outcome`."""
    names: dict[str, object] = {"__name__": "__probe__"}
    exec(compile(source, "<probe>", "exec"), names)
    return json.dumps({"outcome": str(names.get("outcome"))}).encode("utf-8", "replace")


def _serve(reply_socket: socket.socket, baseline_data_bytes: int) -> None:
    frames.write_frame(reply_socket.fileno(), frames.HELLO, b"")
    kind, body, descriptors = receive_step(reply_socket)
    corpus = MappedCorpus.open(descriptors)
    document = json.loads(body)
    set_step_limits(from_dict(StepLimits, document["limits"]), baseline_data_bytes)
    lockdown.close_border()
    if kind == frames.PROBE:
        reply = run_probe(document["code"])
    else:
        channel = ReplyChannel(reply_socket.fileno())
        reply = to_json(run_under_clock(from_dict(StepRequest, document), corpus, channel))
    frames.write_frame(reply_socket.fileno(), frames.REPLY, reply)


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What children have from their zygote: its process id, the memory it holds, an empty corpus."""

    parent: int
    private_data_bytes: int
    nothing: MappedCorpus


def live(reply_socket: socket.socket, inheritance: Inheritance) -> NoReturn:
    """The whole life of a child, from its first breath to its exit status. Never returns."""
    status = frames.EXIT_FAILED
    try:
        lockdown.lock_child(inheritance.parent)
        warm(inheritance.nothing)
        _serve(reply_socket, inheritance.private_data_bytes)
        status = 0
    except frames.ConnectionEnded:
        status = 0
    except StepTimedOut:
        status = frames.EXIT_TIMED_OUT
    except MemoryError:
        status = frames.EXIT_OUT_OF_MEMORY
    except Exception:  # noqa: BLE001 - the process edge: the host is told what broke the step program
        reason = traceback.format_exc()[-FAILURE_CHARS:]
        frames.write_frame(reply_socket.fileno(), frames.FAILED, reason.encode("utf-8", "replace"))
    finally:
        os._exit(status)  # whatever was raised: this process runs no code but the step's
