"""The handler's end of a zygote: one step at a time, in a child that is gone before the handler replies.

What `runners.nursery` and `runners.process` do for an event loop, for a function that is frozen between
calls: everything here blocks, with a deadline.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from rlm_rs.sandbox import frames
from rlm_rs.sandbox.layers import Layers
from rlm_rs.sandbox.spawn import spawn

MESSAGE_BYTES = 1 << 16
START_SECONDS = 8.0
ENDING_SECONDS = 5.0
MAX_FAILURE_BYTES = 1 << 14
READ_BYTES = 1 << 18


class ZygoteFailed(Exception):
    """Steps cannot be locked in here, or the zygote is gone. The message says why."""


class ReplyRefused(Exception):
    """The child sent something that is no frame of a step. The message says what."""


class StepProgramFailed(Exception):
    """The step program says that it failed, and how."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: its wait status, CPU seconds, peak bytes, and whether it was ended from here."""

    status: int
    cpu: float
    peak: int
    by_host: bool = False


@dataclass(slots=True, eq=False)
class Child:
    """A live child: its number, the socket to it, its pidfd."""

    number: int
    socket: socket.socket
    pidfd: int

    def kill(self) -> None:
        """End it now. A child that has already ended is not an error."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Close the host's descriptors of it."""
        self.socket.close()
        os.close(self.pidfd)

    def send(self, kind: bytes, body: bytes, descriptors: list[int], deadline: float) -> None:
        """Send a frame, the descriptors with its header. Raises `TimeoutError` or `ConnectionError`."""
        self._allow(deadline)
        socket.send_fds(self.socket, [frames.HEADER.pack(kind, len(body))], descriptors)
        if body:
            self.socket.sendall(body)

    def receive(self, deadline: float) -> tuple[bytes, bytes]:
        """The next frame. Raises `TimeoutError`, `ConnectionError` at its end, or `ReplyRefused`."""
        kind, length = frames.HEADER.unpack(self._exactly(frames.HEADER.size, deadline))
        if kind not in _LONGEST:
            raise ReplyRefused("it is not a reply frame")
        if length > _LONGEST[kind]:
            raise ReplyRefused(f"it would be {length} bytes, more than the {_LONGEST[kind]} allowed")
        return kind, bytes(self._exactly(length, deadline))

    def _exactly(self, count: int, deadline: float) -> bytearray:
        pieces = bytearray()
        while len(pieces) < count:
            self._allow(deadline)
            piece = self.socket.recv(min(count - len(pieces), READ_BYTES))
            if not piece:
                raise ConnectionAbortedError("the child closed its socket")
            pieces += piece
        return pieces

    def _allow(self, deadline: float) -> None:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        self.socket.settimeout(seconds)


_LONGEST = {
    frames.HELLO: 0,
    frames.REPLY: frames.MAX_FRAME_BYTES,
    frames.FETCH: frames.BLOCKS.size,
    frames.FAILED: MAX_FAILURE_BYTES,
}


@dataclass(slots=True, eq=False)
class LambdaZygote:
    """A running zygote that keeps one child ready."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    layers: Layers
    children: dict[int, Child] = field(default_factory=dict)
    ended: dict[int, Ended] = field(default_factory=dict)
    expected: int = 0

    @classmethod
    def started(cls) -> LambdaZygote:
        """Start a zygote and hear what it has locked. Raises `ZygoteFailed` or `EngineMissing`."""
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there:
            process = spawn(there.fileno(), frozenset())
        zygote = cls(process, here, Layers(False, 0, (), False))
        try:
            zygote._hear(time.monotonic() + START_SECONDS)
        except BaseException:
            zygote.close()
            raise
        return zygote

    def prepare(self) -> None:
        """Have a child born, unless one is ready."""
        if not self.children and not self.expected:
            self._fork(warm=True)

    def take(self) -> Child:
        """A child that is locked and waits for its step. Raises `ZygoteFailed`."""
        deadline = time.monotonic() + START_SECONDS
        if not self.children and not self.expected:
            self._fork(warm=False)
        while not self.children:
            self._hear(deadline)
        _, child = self.children.popitem()
        try:
            kind, words = child.receive(deadline)
        except (OSError, ReplyRefused) as error:
            kind, words = frames.FAILED, str(error).encode()
        if kind != frames.HELLO:
            status, why = self.finish(child).status, words.decode("utf-8", "replace")
            raise ZygoteFailed(f"a locked process cannot live here (wait status {status}): {why}")
        return child

    def finish(self, child: Child, seconds: float = 0.0) -> Ended:
        """Wait so long for the child's end, then end it; returns how it ended.

        Raises `ZygoteFailed`, or TimeoutError if the zygote does not say how.
        """
        with contextlib.suppress(TimeoutError):
            self._await_end(child, time.monotonic() + seconds)
        killed = child.number not in self.ended
        child.kill()
        self._await_end(child, time.monotonic() + START_SECONDS)
        child.close()
        return replace(self.ended.pop(child.number), by_host=killed)

    def close(self) -> None:
        """End the zygote and all its children."""
        self.control.close()
        for child in self.children.values():
            child.close()
        self.process.kill()
        self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()

    def _await_end(self, child: Child, deadline: float) -> None:
        while child.number not in self.ended:
            self._hear(deadline)

    def _fork(self, warm: bool) -> None:
        try:
            self.control.send(json.dumps({"fork": 1, "warm": warm}).encode())
        except OSError as error:
            raise ZygoteFailed(f"the zygote is gone ({error})") from None
        self.expected += 1

    def _hear(self, deadline: float) -> None:
        """Take in one message. Raises TimeoutError, or `ZygoteFailed` with the zygote's last words."""
        self.control.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            body, descriptors, _, _ = socket.recv_fds(self.control, MESSAGE_BYTES, 2)
        except ConnectionError:
            body, descriptors = b"", []
        if not body:
            raise ZygoteFailed(f"the zygote ended {self._last_words()}")
        self._admit(json.loads(body), descriptors)

    def _admit(self, message: dict[str, Any], descriptors: list[int]) -> None:
        match message:
            case {"child": int(number)}:
                self.expected -= 1
                self.children[number] = Child(number, socket.socket(fileno=descriptors[0]), descriptors[1])
            case {"exit": int(number), "status": status, "cpu": cpu, "peak": peak}:
                self.ended[number] = Ended(status, cpu, peak)
            case {"ready": dict(report)}:
                self.layers = Layers.from_dict(report)
            case {"failed": reason}:
                raise ZygoteFailed(str(reason))

    def _last_words(self) -> str:
        self.process.kill()
        status = self.process.wait()
        words = self.process.stderr.read().decode("utf-8", "replace") if self.process.stderr else ""
        return f"(status {status}) {words.strip().splitlines()[-1:] or ''}"


def conversed(
    child: Child, deadline: float, latest: float, fetch: Callable[[tuple[int, int, int]], None]
) -> bytes:
    """The child's reply, its wishes fulfilled meanwhile: fetching moves the deadline on, up to `latest`.

    Raises `TimeoutError`, `ConnectionError` if it ends without a reply, `ReplyRefused`, `StepProgramFailed`,
    and whatever `fetch` raises.
    """
    while True:
        kind, body = child.receive(deadline)
        if kind == frames.REPLY:
            return body
        if kind == frames.FAILED:
            raise StepProgramFailed(body.decode("utf-8", "replace"))
        if kind != frames.FETCH or len(body) != frames.BLOCKS.size:
            raise ReplyRefused("it is not a reply frame")
        began = time.monotonic()
        try:
            fetch(frames.BLOCKS.unpack(body))
        except ValueError as error:
            raise ReplyRefused(str(error)) from None
        deadline = min(latest, deadline + time.monotonic() - began)
        child.send(frames.FETCHED, b"", [], deadline)
