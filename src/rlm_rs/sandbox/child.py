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
from dataclasses import dataclass
from typing import NoReturn

from rlm_rs.sandbox import clocks, frames, lockdown
from rlm_rs.sandbox.corpus import MappedCorpus
from rlm_rs.sandbox.executor import run_step
from rlm_rs.sandbox.limits import StepSuspended, StepTimedOut
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
REHEARSAL = StepLimits(seconds=100_000.0, memory_mb=1 << 20)
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


@dataclass(slots=True)
class FetchingChannel:
    """The way of a step to a host that does not wait for answers and fetches what the step reads."""

    descriptor: int
    waited_seconds: float = 0.0

    def ask(self, requests: Sequence[SubcallRequest]) -> Sequence[SubcallResult]:
        """Always raises `StepSuspended`: the step runs again from a longer record."""
        raise StepSuspended(requests)

    def fetch(self, file: int, first: int, last: int) -> None:
        """Have the host fill in blocks of a file. The soft clock does not cut the exchange in two."""
        asked = time.monotonic()
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPROF})
            frames.write_frame(self.descriptor, frames.FETCH, frames.BLOCKS.pack(file, first, last))
            frames.read_frame(self.descriptor)
            self.waited_seconds += time.monotonic() - asked
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})


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
    """The limits that depend on the step: private memory, and the CPU time that no code gets past.

    RLIMIT_DATA and not RLIMIT_AS: mapped documents may be far larger than the memory allowed.
    """
    data = baseline_data_bytes + (limits.memory_mb << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    clocks.start_hard(limits.seconds)


class Meter:
    """What the step has used since this was made, its waiting for answers not counted."""

    def __init__(self, channel: ReplyChannel | FetchingChannel) -> None:
        self._channel = channel
        self._began = time.monotonic()
        self._cpu_before = clocks.cpu_seconds()

    def usage(self) -> StepUsage:
        """Until now. The peak memory includes mapped pages of documents."""
        return StepUsage(
            wall_seconds=time.monotonic() - self._began - self._channel.waited_seconds,
            cpu_seconds=clocks.cpu_seconds() - self._cpu_before,
            peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )


def run_under_clock(
    request: StepRequest, corpus: MappedCorpus, channel: ReplyChannel | FetchingChannel
) -> StepResult:
    """Run the step; its soft clock runs until its result is there."""
    clocks.start_soft(request.limits.seconds)
    result = run_step(request, corpus, channel, Meter(channel))
    clocks.stop_soft()
    return result


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What children have from their zygote: its process id, the memory it holds, an empty corpus."""

    parent: int
    private_data_bytes: int
    nothing: MappedCorpus


def empty_corpus() -> MappedCorpus:
    """A corpus without documents: its tables are an empty file."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        return MappedCorpus.open([nothing] * 4)
    finally:
        os.close(nothing)


def rehearse(nothing: MappedCorpus) -> None:
    """Run a step of nothing, from its arrival to its reply."""
    request = from_dict(StepRequest, json.loads(to_json(StepRequest("", 0, WARMING))))
    json.loads(to_json(run_under_clock(request, nothing, ReplyChannel(-1))))


def warm(inheritance: Inheritance, reply_socket: socket.socket) -> None:
    """Go through the motions of a step, so that the pages it touches are this process's own beforehand.

    A forked page is copied when it is first written to, reference counts included; without this a step
    spends more time on that than on itself. The limits set here are far above those of any step.
    """
    set_step_limits(REHEARSAL, inheritance.private_data_bytes)
    lockdown.rehearse_border()
    MappedCorpus.open([reply_socket.fileno()] * 4)
    rehearse(inheritance.nothing)


def run_probe(source: str, descriptor: int) -> bytes:
    """Run Python with no language layer; the probe leaves what it has to say in `outcome`.

    `reply` is the descriptor of the reply socket, so that a probe can try to forge a reply.
    """
    names: dict[str, object] = {"__name__": "__probe__", "reply": descriptor}
    exec(compile(source, clocks.PROBE_FILE, "exec"), names)
    return json.dumps({"outcome": str(names.get("outcome"))}).encode("utf-8", "replace")


def _serve(reply_socket: socket.socket, baseline_data_bytes: int) -> None:
    frames.write_frame(reply_socket.fileno(), frames.HELLO, b"")
    kind, body, descriptors = receive_step(reply_socket)
    channel: ReplyChannel | FetchingChannel
    if kind == frames.FETCHED_STEP:
        channel = FetchingChannel(reply_socket.fileno())
        lengths, body = frames.TABLES.unpack_from(body), body[frames.TABLES.size :]
        corpus = MappedCorpus.fetched(descriptors, lengths, channel.fetch)
    else:
        channel = ReplyChannel(reply_socket.fileno())
        corpus = MappedCorpus.open(descriptors)
    document = json.loads(body)
    set_step_limits(from_dict(StepLimits, document["limits"]), baseline_data_bytes)
    lockdown.close_border()
    if kind == frames.PROBE:
        reply = run_probe(document["code"], reply_socket.fileno())
    else:
        reply = to_json(run_under_clock(from_dict(StepRequest, document), corpus, channel))
    frames.write_frame(reply_socket.fileno(), frames.REPLY, reply)


def live(reply_socket: socket.socket, inheritance: Inheritance, warmed: bool) -> NoReturn:
    """The whole life of a child, from its first breath to its exit status. Never returns."""
    status = frames.EXIT_FAILED
    try:
        lockdown.lock_child(inheritance.parent)
        if warmed:
            warm(inheritance, reply_socket)
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
