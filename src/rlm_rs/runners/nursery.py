"""The host's end of a zygote: starts it, keeps children ready, knows how each ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from rlm_rs.core.errors import SandboxFailed
from rlm_rs.runners.exchange import ReplyEnded, ReplyMalformed, StepProgramFailed, read_hello
from rlm_rs.sandbox.layers import Layers
from rlm_rs.sandbox.spawn import EngineMissing, spawn
from rlm_rs.sandbox.syscalls import SeccompUnavailable, machine

MESSAGE_BYTES = 1 << 16
START_SECONDS = 30.0
LAST_WORDS_SECONDS = 1.0
"""How long a zygote that failed to start may take to end by itself."""
STILLBORN_ALLOWED = 8


class ZygoteLost(Exception):
    """The zygote is gone, and its children with it."""


class Stillborn(Exception):
    """A child ended before it could take a step. The message says how."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: its wait status (os.waitstatus_to_exitcode's input), CPU seconds, peak bytes."""

    status: int
    cpu_seconds: float
    peak_memory_bytes: int


def describe_exit(wait_status: int) -> str:
    """In words: the signal that ended a process, or its exit status."""
    code = os.waitstatus_to_exitcode(wait_status)
    return f"exit status {code}" if code >= 0 else signal.strsignal(-code) or f"signal {-code}"


@dataclass(slots=True, eq=False)
class Child:
    """A live child. `ended` resolves to how it ended, or fails with `ZygoteLost`."""

    socket: socket.socket
    pidfd: int
    ended: asyncio.Future[Ended]
    greeted: bool = False

    async def greet(self) -> None:
        """Wait until it is locked and warm. Raises `Stillborn` if that never came to be."""
        if self.greeted:
            return
        try:
            async with asyncio.timeout(START_SECONDS):
                await read_hello(self.socket)
        except TimeoutError:
            raise Stillborn(f"it was not ready within {START_SECONDS:g} seconds") from None
        except ReplyEnded:
            raise Stillborn(describe_exit((await self.exit()).status)) from None
        except (StepProgramFailed, ReplyMalformed) as error:
            raise Stillborn(str(error)) from None
        self.greeted = True

    async def exit(self) -> Ended:
        """Wait until it has ended. Raises `ZygoteLost` if nobody is left to say how."""
        return await asyncio.shield(self.ended)

    def kill(self) -> None:
        """End it now. A child that has already ended is not an error."""
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def release(self) -> None:
        """Kill it and close the host's descriptors of it."""
        if self.pidfd >= 0:
            self.kill()
            os.close(self.pidfd)
            self.pidfd = -1
            self.socket.close()


def _spawn(control: socket.socket, leave_out: frozenset[str]) -> subprocess.Popen[bytes]:
    try:
        return spawn(control.fileno(), leave_out)
    except EngineMissing as error:
        raise SandboxFailed(reason=f"{error}. Install rlm-rs again.") from None


@dataclass(slots=True, eq=False)
class Nursery:
    """A running zygote. `spares` children are kept ready; more are born as they are taken."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    spares: int
    loop: asyncio.AbstractEventLoop
    started: asyncio.Future[Layers]
    layers: Layers | None = None
    lost: bool = False
    expected: int = 0
    stillborn: int = 0
    ready: deque[Child] = field(default_factory=deque)
    waiting: deque[asyncio.Future[Child]] = field(default_factory=deque)
    alive: dict[int, Child] = field(default_factory=dict)

    @classmethod
    async def start(cls, spares: int, leave_out: frozenset[str] = frozenset()) -> Nursery:
        """Start a zygote and wait until it can fork. Raises `SandboxFailed` with the zygote's reason."""
        try:
            machine()
        except SeccompUnavailable as error:
            raise SandboxFailed(reason=str(error)) from None
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there:
            process = _spawn(there, leave_out)
        here.setblocking(False)
        loop = asyncio.get_running_loop()
        nursery = cls(process, here, spares, loop, loop.create_future())
        loop.add_reader(here, nursery._drain)
        try:
            nursery.layers = await asyncio.wait_for(nursery.started, START_SECONDS)
        except BaseException:
            nursery.close()
            raise
        await nursery._first_child()
        return nursery

    async def _first_child(self) -> None:
        """Prove that a child can be locked here before any step counts on it."""
        try:
            child = await self.take()
            await child.greet()
        except (Stillborn, ZygoteLost) as error:
            self.close()
            how = str(error) or "its parent process was lost"
            raise SandboxFailed(reason=f"a locked process cannot live here: {how}") from None
        self.ready.appendleft(child)

    async def take(self) -> Child:
        """A ready child, as soon as there is one; first come, first served. Raises `ZygoteLost`."""
        if self.lost:
            raise ZygoteLost
        if self.ready:
            return self.ready.popleft()
        future: asyncio.Future[Child] = self.loop.create_future()
        self.waiting.append(future)
        self._replenish()
        try:
            async with asyncio.timeout(START_SECONDS):
                return await future
        except TimeoutError:
            self.close()
            raise ZygoteLost from None
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().release()
            raise

    def close(self) -> None:
        """End the zygote and all its children."""
        if not self.lost:
            self._lose()

    def replenish(self) -> None:
        """Have children born in place of those taken. Called when the taken one is already at work."""
        if not self.lost:
            self._replenish()

    def _replenish(self) -> None:
        missing = self.spares + len(self.waiting) - len(self.ready) - self.expected
        if missing <= 0:
            return
        try:
            self.control.send(json.dumps({"fork": missing, "warm": not self.waiting}).encode())
        except BlockingIOError:
            return  # the zygote is behind; its next message replenishes
        except (BrokenPipeError, ConnectionResetError):
            self._lose()
            return
        self.expected += missing

    def _drain(self) -> None:
        """Take in all the zygote has said: left unread, it would block there in the end."""
        while not self.lost:
            try:
                body, descriptors, _, _ = socket.recv_fds(self.control, MESSAGE_BYTES, 2)
            except BlockingIOError:
                break
            except ConnectionResetError:
                body, descriptors = b"", []
            if body:
                self._hear(json.loads(body), descriptors)
            else:
                self._lose()
        self.replenish()

    def _hear(self, message: dict[str, Any], descriptors: list[int]) -> None:
        match message:
            case {"child": int(number)}:
                self._admit(number, *descriptors)
            case {"exit": int(number), "status": status, "cpu": cpu, "peak": peak}:
                self._bury(number, Ended(status, cpu, peak))
            case {"ready": dict(report)}:
                self.started.set_result(Layers.from_dict(report))
            case {"failed": reason}:
                self.started.set_exception(SandboxFailed(reason=str(reason)))

    def _admit(self, number: int, reply_descriptor: int, pidfd: int) -> None:
        reply_socket = socket.socket(fileno=reply_descriptor)
        reply_socket.setblocking(False)
        child = Child(reply_socket, pidfd, self.loop.create_future())
        self.alive[number] = child
        self.expected -= 1
        while self.waiting:
            future = self.waiting.popleft()
            if not future.done():
                future.set_result(child)
                return
        self.ready.append(child)

    def _bury(self, number: int, ended: Ended) -> None:
        child = self.alive.pop(number, None)
        if child is None:
            return
        if not child.ended.done():
            child.ended.set_result(ended)
        if child in self.ready:
            self.ready.remove(child)
            child.release()
            self._count_stillborn(ended)

    def _count_stillborn(self, ended: Ended) -> None:
        """A child that ends while it waits was not ended by a step: soon there is no point in more."""
        self.stillborn += 1
        if self.stillborn > STILLBORN_ALLOWED:
            how = describe_exit(ended.status)
            reason = f"its processes end before they get a step ({how}); `rlm doctor` shows what holds here"
            self._lose(SandboxFailed(reason=reason))

    def _lose(self, why: Exception | None = None) -> None:
        self.lost = True
        self.loop.remove_reader(self.control)
        self.control.close()
        complaint = self._end_process()
        for child in self.alive.values():
            if not child.ended.done():
                child.ended.set_exception(ZygoteLost())
                child.ended.exception()  # marks it retrieved: not everyone waits for it
            child.kill()
        for child in self.ready:
            child.release()
        self.alive.clear()
        self.ready.clear()
        for future in self.waiting:
            if not future.done():
                future.set_exception(why or ZygoteLost())
        self.waiting.clear()
        if not self.started.done():
            reason = f"the zygote process ended before it was ready {complaint}"
            self.started.set_exception(SandboxFailed(reason=reason))

    def _end_process(self) -> str:
        """End the zygote; returns how it ended and its last words, if it had any."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0 if self.started.done() else LAST_WORDS_SECONDS)
        self.process.kill()
        status = self.process.wait()
        assert self.process.stderr is not None
        with self.process.stderr as stderr:
            words = stderr.read().decode("utf-8", "replace").strip().splitlines()[-1:]
        return f"(status {status})" + "".join(f": {line}" for line in words)
