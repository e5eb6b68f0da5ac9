"""A worker: takes what is to be done, keeps its leases, and gives back what it does not finish.

It may be killed at any point. What it held is free again when its leases run out, and whoever takes it goes
on where the journal ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import uuid4

from rlm_rs.core.corpus import Corpus, Failure
from rlm_rs.core.errors import (
    ExecutionNotFound,
    Fenced,
    ParserFailed,
    ProviderFailed,
    SearchFailed,
    SessionNotFound,
)
from rlm_rs.core.execution import Problem, Run
from rlm_rs.core.records import WorkItem, WorkKind
from rlm_rs.orchestrator.evaluating import (
    ask_again_for_evaluation,
    evaluate,
    fail_evaluation,
    queue_evaluation,
)
from rlm_rs.orchestrator.executions import cancelled, documents_left, go_on
from rlm_rs.orchestrator.lifecycle import (
    ask_again_for_removal,
    expire_sessions,
    fail_session,
    ingest_session,
)
from rlm_rs.orchestrator.outcome import finish
from rlm_rs.orchestrator.ports import Service
from rlm_rs.orchestrator.removal import remove_left_behind, remove_texts

LOG = logging.getLogger(__name__)

UnderWay: TypeAlias = dict[asyncio.Task[None], str]
"""What a worker is at, and for which tenant."""

RENEWALS_PER_LEASE = 3
RENEWAL_SECONDS = 2.0
"""The longest pause between renewals: a renewal is how a cancellation in another process is heard of."""
SHORTEST_LEASE_SECONDS = 0.05
POISONED = "It was given up after {attempts} attempts: {reason}"
PATIENCE = 4
BEGINNING_PATIENCE = 2
BEGINNING_SECONDS = 0.05
EXTRA_SHARE = 1.0
"""What a full worker still begins for tenants it does nothing for yet, as a share of its concurrency."""
WORKER_LOST = "the worker at work on it was lost each time."


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """How a worker goes about it; times in seconds.

    concurrency: items of each kind at once; more only for tenants that have none of them. lease: how long an
    item is another's after its worker died. poll: the longest pause before looking for work again.
    max_attempts: claims of an item that records no progress before it is given up; PATIENCE times as many
    where a provider or the parser cannot be reached. backoff, max_backoff: the pause after a first failed
    attempt, and the longest. drain: what work under way is given to end when the worker is to stop. sweep:
    between looks for sessions whose time is over.
    """

    concurrency: int = 8
    lease: float = 30.0
    poll: float = 0.5
    max_attempts: int = 5
    backoff: float = 1.0
    max_backoff: float = 60.0
    drain: float = 10.0
    sweep: float = 30.0


class Retry(Exception):
    """The item is to be tried again. `reason` is one sentence; `pause` is the first pause, in seconds.

    patience: after how many claims it is given up, as a multiple of `max_attempts`.
    """

    def __init__(self, reason: str, pause: float | None = None, patience: int = PATIENCE) -> None:
        super().__init__(reason)
        self.reason, self.pause, self.patience = reason, pause, patience


class Worker:
    """Does work of some kinds until it is told to stop. One instance serves one event loop."""

    def __init__(
        self,
        service: Service,
        kinds: Sequence[WorkKind],
        owner: str | None = None,
        limits: WorkerLimits | None = None,
    ) -> None:
        self._service = service
        self._kinds = tuple(kinds)
        self._limits = limits or WorkerLimits()
        self.owner = owner or f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:8]}"
        self.name = "+".join(self._kinds)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then let what is under way end or give it back."""
        sweeps = [self._sweep(stop)] if WorkKind.INGESTION in self._kinds else []
        await asyncio.gather(*(self._serve(kind, stop) for kind in self._kinds), *sweeps)

    async def _serve(self, kind: WorkKind, stop: asyncio.Event) -> None:
        under_way: UnderWay = {}
        try:
            with self._service.signals.listening(kind) as news:
                while not stop.is_set():
                    # before looking: what happens meanwhile is news
                    news.clear()
                    item = await self._next(kind, under_way)
                    if item is None:
                        await self._pause(stop, news)
                    else:
                        self._begin(item, under_way, news)
        finally:
            await self._drained(under_way)

    def _begin(self, item: WorkItem, under_way: UnderWay, news: asyncio.Event) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            del under_way[task]
            news.set()

        task = asyncio.ensure_future(self._hold(item))
        under_way[task] = item.tenant_id
        task.add_done_callback(ended)

    async def _next(self, kind: WorkKind, under_way: UnderWay) -> WorkItem | None:
        """What to begin now. Beyond `concurrency` that is only a tenant's who has nothing under way here."""
        if len(under_way) >= self._limits.concurrency * (1 + EXTRA_SHARE):
            return None
        is_full = len(under_way) >= self._limits.concurrency
        passing_over = frozenset(under_way.values()) if is_full else frozenset()
        try:
            return await self._service.work.claim(kind, self.owner, self._limits.lease, passing_over)
        except Exception as error:  # noqa: BLE001 - the edge: a store that fails for a moment ends no worker
            LOG.warning("no work could be claimed: %s", error)
            return None

    async def _pause(self, *news: asyncio.Event) -> None:
        """Until there may be something to do: work was added, an item ended, or it is time to look again."""
        waiting = [asyncio.ensure_future(event.wait()) for event in news]
        try:
            await asyncio.wait(waiting, timeout=self._limits.poll, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def _drained(self, under_way: UnderWay) -> None:
        if under_way:
            await asyncio.wait(under_way, timeout=self._limits.drain)
        left = list(under_way)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _sweep(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await expire_sessions(time.time(), self._service, stop)
            except Exception as error:  # noqa: BLE001 - the edge: the next sweep finds what this one left
                LOG.warning("sessions could not be swept: %s", error)
            try:
                async with asyncio.timeout(self._limits.sweep):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _hold(self, item: WorkItem) -> None:
        """Do an item, whatever comes of it."""
        self._service.at_work(item)
        try:
            await self._settle(item)
        except asyncio.CancelledError:
            await self._service.work.release(item, self.owner, counted=False)
            raise
        except Exception as error:
            # the edge of an item: whatever goes wrong with it, the worker goes on
            LOG.exception("%s %s failed", item.kind, item.item_id)
            await self._put_off(item, Retry(f"{type(error).__name__}: {error}"), self._limits.max_attempts)

    async def _settle(self, item: WorkItem) -> None:
        """Do an item under its lease and say what is to become of it."""
        work = self._service.work
        try:
            if await self._done_under_lease(item):
                if item.kind == WorkKind.EXECUTION:
                    await remove_left_behind(item.tenant_id, item.item_id, self._service)
                await work.done(item, self.owner)
                await self._asked_meanwhile(item)
        except Retry as retry:
            await self._put_off(item, retry, retry.patience * self._limits.max_attempts)
        except Fenced:
            # whoever was faster goes on with it; if nobody does, the item is looked at again soon
            await work.renew(item, self.owner, self._limits.backoff)

    async def _asked_meanwhile(self, item: WorkItem) -> None:
        """Add what was asked for in an item's last moments: while it was held that changed nothing."""
        if item.kind == WorkKind.INGESTION:
            await ask_again_for_removal(item.tenant_id, item.item_id, self._service)
        elif item.kind == WorkKind.EVALUATION:
            await ask_again_for_evaluation(item.tenant_id, item.item_id, self._service)

    async def _done_under_lease(self, item: WorkItem) -> bool:
        """Whether the item is settled; False if the lease was lost and it is another's."""
        stop = self._service.signals.watch(item.item_id)
        doing = asyncio.ensure_future(self._do(item))
        try:
            kept: WorkItem | None = item
            while kept is not None and not doing.done():
                if item.kind == WorkKind.EXECUTION and (kept.cancel_requested or stop.is_set()):
                    await _interrupted(doing)
                    await self._cancel(item)
                    return True
                kept = await self._still_kept(item, doing, stop)
            if kept is None:
                LOG.warning("the lease of %s %s was lost", item.kind, item.item_id)
                return False
            await doing
            return True
        except SessionNotFound:
            return True
        finally:
            await _interrupted(doing)
            self._service.signals.unwatch(item.item_id, stop)

    async def _cancel(self, item: WorkItem) -> None:
        try:
            await cancelled(item.tenant_id, item.item_id, self._service.ports)
        except ExecutionNotFound:
            # it was removed with its session, or who submitted it was killed before it began
            await self._service.ports.catalog.delete_execution(item.tenant_id, item.item_id)

    async def _still_kept(
        self, item: WorkItem, doing: asyncio.Task[None], stop: asyncio.Event
    ) -> WorkItem | None:
        """Wait for the next thing to happen to an item, at most until its lease is due for renewal."""
        stopped = asyncio.ensure_future(stop.wait())
        try:
            pause = min(RENEWAL_SECONDS, self._limits.lease / RENEWALS_PER_LEASE)
            waiting = {doing, stopped} if item.kind == WorkKind.EXECUTION else {doing}
            await asyncio.wait(waiting, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        if doing.done():
            return item
        return await self._service.work.renew(item, self.owner, self._limits.lease)

    async def _do(self, item: WorkItem) -> None:
        if item.kind == WorkKind.INGESTION:
            await self._ingest(item)
        elif item.kind == WorkKind.EVALUATION:
            await self._evaluate(item)
        else:
            await self._drive(item)

    async def _ingest(self, item: WorkItem) -> None:
        if item.attempts > self._limits.max_attempts * PATIENCE and await self._session_failed(
            item, WORKER_LOST
        ):
            return
        try:
            await ingest_session(item.tenant_id, item.item_id, self._service)
        except SearchFailed as error:
            raise Retry(str(error.details.get("reason", error.message))) from error
        except ParserFailed as error:
            raise Retry(error.message) from error
        except SessionNotFound as error:
            # whoever makes it is about to write it, unless it was removed meanwhile
            raise Retry("its session was never written", BEGINNING_SECONDS) from error

    async def _evaluate(self, item: WorkItem) -> None:
        if item.attempts > self._limits.max_attempts * PATIENCE:
            await self._evaluation_failed(item, WORKER_LOST)
            return
        try:
            await evaluate(item.tenant_id, item.item_id, self._service)
        except ProviderFailed as error:
            raise Retry(error.message) from error

    async def _drive(self, item: WorkItem) -> None:
        run = await self._service.ports.log.replay(item.tenant_id, item.item_id)
        if run is None:
            # whoever submits it is about to write it
            raise Retry("its journal has not begun", BEGINNING_SECONDS, BEGINNING_PATIENCE)
        if run.finished is not None:
            # the row may be older than the journal
            await finish(run, await documents_left(run, self._service.ports), self._service.ports)
            await queue_evaluation(run, self._service)
            return
        if item.attempts > self._limits.max_attempts * PATIENCE + len(run.turns):
            await self._give_up(run, item, WORKER_LOST)
            return
        try:
            run, _ = await go_on(item.tenant_id, item.item_id, self._service.ports)
            await queue_evaluation(run, self._service)
        except ProviderFailed as error:
            if not error.details.get("retryable", True):
                await self._failed(item, Problem(error.code, error.message))
                return
            raise Retry(error.message) from error
        except SessionNotFound as error:
            await self._failed(item, Problem(error.code, error.message))

    async def _put_off(self, item: WorkItem, retry: Retry, most: int) -> None:
        """Try again after a pause, spent under the lease; or give the item up after `most` claims."""
        if await self._given_up(item, retry.reason, most):
            await self._service.work.done(item, self.owner)
            return
        first = self._limits.backoff if retry.pause is None else retry.pause
        pause = min(self._limits.max_backoff, first * 2 ** min(item.attempts - 1, 20))
        await self._service.work.renew(item, self.owner, max(SHORTEST_LEASE_SECONDS, pause))

    async def _given_up(self, item: WorkItem, reason: str, most: int) -> bool:
        if item.kind == WorkKind.INGESTION:
            return item.attempts >= most and await self._session_failed(item, reason)
        if item.kind == WorkKind.EVALUATION:
            return item.attempts >= most and await self._evaluation_failed(item, reason)
        run = await self._service.ports.log.replay(item.tenant_id, item.item_id)
        # an execution that makes progress between its workers' ends is not what ends them
        if item.attempts < most + (len(run.turns) if run else 0):
            return False
        if run is None:
            await self._service.ports.catalog.delete_execution(item.tenant_id, item.item_id)
        elif run.finished is None:
            await self._give_up(run, item, reason)
        return True

    async def _session_failed(self, item: WorkItem, reason: str) -> bool:
        failure = Failure("PARSER_UNAVAILABLE", POISONED.format(attempts=item.attempts, reason=reason))
        try:
            await fail_session(item.tenant_id, item.item_id, failure, self._service)
        except SessionNotFound:
            # what an earlier worker made of a document of a session that was removed
            await remove_texts(item.tenant_id, item.item_id, self._service)
        return True

    async def _evaluation_failed(self, item: WorkItem, reason: str) -> bool:
        message = POISONED.format(attempts=item.attempts, reason=reason)
        await fail_evaluation(item.tenant_id, item.item_id, message, self._service)
        return True

    async def _give_up(self, run: Run, item: WorkItem, reason: str) -> None:
        message = POISONED.format(attempts=item.attempts, reason=reason)
        await self._failed(item, Problem("ATTEMPTS_EXHAUSTED", message))

    async def _failed(self, item: WorkItem, problem: Problem) -> None:
        """End an execution as FAILED, unless it has ended."""
        ports = self._service.ports
        run = await ports.log.replay(item.tenant_id, item.item_id)
        if run is not None:
            none = Corpus(item.tenant_id, run.execution.session_id, ())
            await finish(run, none, ports, problem)
            ports.log.forget(item.item_id)


async def _interrupted(doing: asyncio.Task[None]) -> None:
    """Stop a task and wait until it has; what it was about is settled elsewhere."""
    if not doing.done():
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)
