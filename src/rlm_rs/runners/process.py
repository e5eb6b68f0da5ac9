"""The `process` runner: every step in a child of its own, forked from a pre-imported zygote.

The event loop is never blocked and no thread is used. Running children are bounded; steps queue first
come, first served. A step suspended at its sub-calls keeps its child, which costs memory and no turn in
the queue; it can always be let go and runs again from the record.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace

import orjson

from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import SandboxFailed
from rlm_rs.runners import outcomes
from rlm_rs.runners.exchange import (
    ReplyEnded,
    ReplyMalformed,
    StepProgramFailed,
    encoded,
    read_reply,
    send_frame,
    send_step,
)
from rlm_rs.runners.image import CorpusImages, open_all
from rlm_rs.runners.nursery import Child, Nursery, Stillborn, ZygoteLost
from rlm_rs.runners.probe import ProbeEnded
from rlm_rs.runners.reply import parse_reply
from rlm_rs.runners.suspended import Suspended, SuspendedSteps
from rlm_rs.sandbox.frames import ANSWERS, PROBE, STEP
from rlm_rs.sandbox.layers import LAYERS, Layers
from rlm_rs.sandbox.protocol import StepLimits, StepRequest, StepResult, to_json

ATTEMPTS = 2
REPLENISH_AFTER_SECONDS = 0.005
"""A fork beside a step of a millisecond would cost it half of the machine, so most steps end first."""
ENDING_SECONDS = 5.0
"""How long a process may take from closing its socket to its end: freeing gigabytes takes a while."""


@dataclass(frozen=True, slots=True)
class ProcessConfig:
    """How many processes there may be, and how long one may take beyond its own CPU time.

    running: steps at work at once (None: twice the cores). spares: children kept ready (None: the
    cores). suspended: steps that wait in a live child, none longer than `suspended_seconds`.
    wall_factor, wall_grace_seconds: a step is ended after `seconds * wall_factor + wall_grace_seconds`
    by the host's clock, its waiting for sub-calls not counted. That is for code that blocks; work is
    bounded by CPU time, so that a busy machine does not change what a step gives.
    leave_out: layers of `sandbox.layers.LAYERS` not to take, so that tests can prove the others alone. There
    is no way to leave out seccomp.
    """

    running: int | None = None
    spares: int | None = None
    suspended: int = 64
    suspended_seconds: float = 900.0
    wall_factor: float = 3.0
    wall_grace_seconds: float = 5.0
    leave_out: frozenset[str] = frozenset()


class ProcessRunner:
    """Implements `core.ports.Sandbox` over a zygote. Belongs to the event loop that first uses it."""

    def __init__(self, images: CorpusImages, config: ProcessConfig | None = None) -> None:
        self._images = images
        self._config = config or ProcessConfig()
        if unknown := self._config.leave_out - LAYERS:
            raise ValueError(f"no layers that can be left out: {', '.join(sorted(unknown))}")
        cores = os.cpu_count() or 1
        self._spares = self._config.spares or cores
        self._slots = asyncio.Semaphore(self._config.running or 2 * cores)
        self._suspended = SuspendedSteps(self._config.suspended, self._config.suspended_seconds)
        self._nursery: Nursery | None = None
        self._starting = asyncio.Lock()
        self._expiry: asyncio.TimerHandle | None = None
        self._closed = False

    async def start(self) -> Layers:
        """Start the zygote, if it is not running, and say which layers hold.

        Raises `SandboxFailed` if steps cannot be locked in here.
        """
        nursery = await self._live_nursery()
        assert nursery.layers is not None
        return nursery.layers

    async def run(self, step: StepRequest, corpus: Corpus) -> StepResult:
        """Run a step, or go on with it (see `core.ports.Sandbox.run`)."""
        waiting = self._suspended.take(step)
        async with self._slots:
            if waiting is not None:
                with suppress(ZygoteLost):  # then it runs again from the record
                    return await self._go_on(waiting, step, corpus)
            return await self._run_afresh(step, corpus)

    async def drop(self, execution_id: str) -> None:
        """Let go of the suspended steps of an execution, if any."""
        self._suspended.drop(execution_id)

    async def forget(self, tenant_id: str, session_id: str) -> None:
        """Remove the images of a session's documents."""
        await self._images.remove(tenant_id, session_id)

    async def close(self) -> None:
        """End every process of the runner; it cannot be used again."""
        self._closed = True
        self._suspended.clear()
        if self._expiry is not None:
            self._expiry.cancel()
        if self._nursery is not None:
            self._nursery.close()

    async def _live_nursery(self) -> Nursery:
        async with self._starting:
            if self._closed:
                raise SandboxFailed(reason="it has been closed")
            if self._nursery is None or self._nursery.lost:
                self._suspended.clear()
                self._nursery = await Nursery.start(self._spares, self._config.leave_out)
            return self._nursery

    async def _run_afresh(self, step: StepRequest, corpus: Corpus) -> StepResult:
        lost = "its parent process was lost"
        for _ in range(ATTEMPTS):
            try:
                return await self._attempt(step, corpus)
            except ZygoteLost:
                continue
            except Stillborn as error:
                lost = f"its process ended before it began: {error}"
        return outcomes.crashed(step, f"{lost}, {ATTEMPTS} times")

    async def _attempt(self, step: StepRequest, corpus: Corpus) -> StepResult:
        with _opened(await self._open_image(corpus)) as descriptors:
            async with self._child_given(STEP, encoded(step), descriptors) as held:
                return await self._conclude(held, step, corpus)

    @asynccontextmanager
    async def _child_given(self, kind: bytes, body: bytes, descriptors: list[int]) -> AsyncIterator[_Held]:
        """A child at work on a first frame; another is born in its place meanwhile."""
        nursery = await self._live_nursery()
        async with _held(await nursery.take()) as held:
            with suppress(ReplyEnded):  # the greeting says how it ended
                await send_step(held.child.socket, kind, body, descriptors)
            later = nursery.loop.call_later(REPLENISH_AFTER_SECONDS, nursery.replenish)
            try:
                await held.child.greet()
                nursery.stillborn = 0
                yield held
            finally:
                later.cancel()
                nursery.replenish()

    async def probe(self, source: str, limits: StepLimits) -> str:
        """Run Python in a locked child with no language layer, and return what it left in `outcome`.

        For `runners.probe` and the tests of the border. A child that was ended raises `ProbeEnded`.
        """
        body = orjson.dumps({"code": source, "limits": limits})
        step = StepRequest("probe", 0, source, limits=limits)
        with _opened([os.open(os.devnull, os.O_RDONLY) for _ in range(4)]) as descriptors:
            async with self._slots, self._child_given(PROBE, body, descriptors) as held:
                reply = await self._read(held.child, step)
        if isinstance(reply, StepResult):
            assert reply.error is not None
            raise ProbeEnded(reply.error.code, reply.error.message)
        return str(orjson.loads(reply)["outcome"])

    async def _open_image(self, corpus: Corpus) -> list[int]:
        """Descriptors of the corpus image; one whose blobs moved is looked up anew once."""
        try:
            return open_all(await self._images.ensure(corpus))
        except FileNotFoundError:
            self._images.forget(corpus)
        try:
            return open_all(await self._images.ensure(corpus))
        except FileNotFoundError as error:
            raise SandboxFailed(reason=f"{error.filename} is gone; add the documents again") from None

    async def _go_on(self, waiting: Suspended, step: StepRequest, corpus: Corpus) -> StepResult:
        new = step.results[len(waiting.step.results) :]
        answers = {result.key: result for result in new}
        ordered = [to_json(answers[request.key]) for request in waiting.pending]
        async with _held(waiting.child) as held:
            try:
                async with asyncio.timeout(ENDING_SECONDS):
                    await send_frame(held.child.socket, ANSWERS, b"[" + b",".join(ordered) + b"]")
            except TimeoutError:
                return outcomes.malformed(step, "its process does not take the answers")
            except ReplyEnded:
                pass  # read below, with how it ended
            return await self._conclude(held, step, corpus)

    async def _conclude(self, held: _Held, step: StepRequest, corpus: Corpus) -> StepResult:
        """Read the child's reply and judge it; keep the child if it waits for answers."""
        body = await self._read(held.child, step)
        if isinstance(body, StepResult):
            return body
        try:
            result = parse_reply(body, step, corpus)
        except ReplyMalformed as error:
            return outcomes.malformed(step, str(error))
        if result.status == "suspended":
            held.keep = True
            self._suspended.put(Suspended(held.child, step, result.requests, time.monotonic()))
            self._watch_age()
        return result if result.error is None else replace(result, state=step.state)

    def _watch_age(self) -> None:
        """One timer for all suspended steps, set for the one that waits longest."""
        seconds = self._suspended.seconds_to_expiry()
        if self._expiry is None and seconds is not None:
            self._expiry = asyncio.get_running_loop().call_later(seconds + 1, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        self._suspended.expire()
        self._watch_age()

    async def _read(self, child: Child, step: StepRequest) -> bytes | bytearray | StepResult:
        """The body of the child's reply, or the failed result that stands for its absence."""
        allowed = step.limits.seconds * self._config.wall_factor + self._config.wall_grace_seconds
        try:
            async with asyncio.timeout(allowed):
                return await read_reply(child.socket)
        except TimeoutError:
            return outcomes.timed_out(step)
        except ReplyMalformed as error:
            return outcomes.malformed(step, str(error))
        except StepProgramFailed as error:
            return outcomes.crashed(step, str(error))
        except ReplyEnded:
            return await _without_reply(child, step)


@dataclass(slots=True)
class _Held:
    child: Child
    keep: bool = False


@asynccontextmanager
async def _held(child: Child) -> AsyncIterator[_Held]:
    """A child at work: whatever happens, it is released unless it is to be kept."""
    held = _Held(child)
    try:
        yield held
    finally:
        if not held.keep:
            child.release()


async def _without_reply(child: Child, step: StepRequest) -> StepResult:
    """A child that closed its socket is about to end; one that does not is ended."""
    try:
        async with asyncio.timeout(ENDING_SECONDS):
            return outcomes.without_reply(step, await child.exit())
    except TimeoutError:
        return outcomes.malformed(step, "its process closed the reply socket")


@contextmanager
def _opened(descriptors: list[int]) -> Iterator[list[int]]:
    """Descriptors that are closed at the end."""
    try:
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
