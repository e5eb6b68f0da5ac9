"""Removing a session: its documents, its executions and their children, and the uploads only it used."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

from rlm_rs.core.errors import BlobNotFound, ChecksumMismatch, SessionNotFound
from rlm_rs.core.execution import Event, RootReplied, Run, StepRan, SubcallResolved
from rlm_rs.core.records import (
    ExecutionRecord,
    ExecutionStatus,
    SessionRecord,
    SessionStatus,
    WorkKind,
)
from rlm_rs.orchestrator.evaluating import remove_evaluation
from rlm_rs.orchestrator.ports import Service
from rlm_rs.orchestrator.uploads import upload_prefix

LOG = logging.getLogger(__name__)

PAGE_ROWS = 200
STOPPING_SECONDS = 5.0
STOPPING_POLL_SECONDS = 0.05


async def remove_session(session: SessionRecord, service: Service) -> None:
    """Remove everything of a session. May be killed at any point and called again.

    One whose time was over leaves its row behind, as EXPIRED, to say so; one that was deleted leaves none.
    """
    ports, key = service.ports, (session.tenant_id, session.session_id)
    service.signals.stop(session.session_id)
    running = await _running(session, service)
    driven = [row for row in running if not await _is_nobodys(row, service)]
    await _ended(driven, service)
    async for execution in _executions(session, service):
        await remove_execution(execution.tenant_id, execution.execution_id, service)
    await remove_texts(*key, service)
    await _remove_uploads(session, service)
    if session.status == SessionStatus.DELETING:
        await ports.catalog.delete_session(*key)
        return
    expired = replace(session, status=SessionStatus.EXPIRED, fingerprint=None)
    # somebody may have deleted it meanwhile
    if await ports.catalog.move_session(expired, session.status):
        await ports.catalog.put_session(expired, [])


async def remove_texts(tenant_id: str, session_id: str, service: Service) -> None:
    """Remove what was made of a session's documents."""
    ports = service.ports
    for kind in ("parsed", "traces"):
        await ports.blobs.delete_prefix(f"s3://{ports.bucket}/{kind}/{tenant_id}/{session_id}/")
    await ports.sandbox.forget(tenant_id, session_id)
    if ports.search is not None:
        await ports.search.index.remove(tenant_id, session_id)


async def remove_execution(tenant_id: str, execution_id: str, service: Service) -> None:
    """Remove an execution, its children, and what they stored."""
    ports = service.ports
    for _, event in await _readable(tenant_id, execution_id, service):
        for child_id in _children(execution_id, event):
            await remove_execution(tenant_id, child_id, service)
        if isinstance(event, RootReplied | SubcallResolved) and event.cached_at:
            # its prompt holds what was read; a question that asks the same again is paid again
            await ports.blobs.delete(event.cached_at)
    if evaluation := await service.evaluations.get_evaluation(tenant_id, execution_id):
        await remove_evaluation(evaluation, service)
    await ports.log.remove(tenant_id, execution_id)
    await ports.catalog.delete_execution(tenant_id, execution_id)
    # a worker that saw the row may have put its evaluation since
    await service.evaluations.delete_evaluation(tenant_id, execution_id)


async def is_removed(tenant_id: str, session_id: str, service: Service) -> bool:
    """Whether a session's data is gone, or about to go: nothing may be written for it any more."""
    session = await service.ports.catalog.get_session(tenant_id, session_id)
    return session is None or session.status in (SessionStatus.DELETING, SessionStatus.EXPIRED)


async def keep_or_remove(run: Run, service: Service) -> None:
    """Leave nothing of an execution whose session is removed meanwhile. Raises `SessionNotFound` then."""
    execution = run.execution
    if await is_removed(execution.tenant_id, execution.session_id, service):
        await remove_execution(execution.tenant_id, execution.execution_id, service)
        raise SessionNotFound(session_id=execution.session_id)


async def remove_left_behind(tenant_id: str, execution_id: str, service: Service) -> None:
    """For who has just ended an execution: what it wrote after its session was removed goes too."""
    row = await service.ports.catalog.get_execution(tenant_id, execution_id)
    if row is not None and await is_removed(tenant_id, row.session_id, service):
        await remove_execution(tenant_id, execution_id, service)


async def _readable(tenant_id: str, execution_id: str, service: Service) -> list[tuple[int, Event]]:
    """The events that lead on to what else is to go; none where a payload is lost or broken."""
    try:
        return await service.ports.log.events(tenant_id, execution_id)
    except (BlobNotFound, ChecksumMismatch, ValueError) as error:
        LOG.warning("the journal of %s cannot be followed: %s", execution_id, error)
        return []


def _children(execution_id: str, event: Event) -> list[str]:
    """Ids of child executions that an event tells of; one that never began is not there to be removed."""
    if isinstance(event, SubcallResolved) and event.request.kind == "rlm":
        return [f"{execution_id}-{event.request.key}"]
    if isinstance(event, StepRan):
        return [f"{execution_id}-{r.key}" for r in event.result.requests if r.kind == "rlm"]
    return []


async def _running(session: SessionRecord, service: Service) -> list[ExecutionRecord]:
    return [row async for row in _executions(session, service) if row.status == ExecutionStatus.RUNNING]


async def _executions(session: SessionRecord, service: Service) -> AsyncIterator[ExecutionRecord]:
    cursor: str | None = None
    while True:
        rows, cursor = await service.ports.catalog.list_executions(
            session.tenant_id, PAGE_ROWS, cursor, session.session_id
        )
        for row in rows:
            yield row
        if cursor is None:
            return


async def _is_nobodys(row: ExecutionRecord, service: Service) -> bool:
    """Ask whoever drives an execution to stop; whether nobody does, and nobody will begin."""
    place = (WorkKind.EXECUTION, row.tenant_id, row.execution_id)
    await service.work.request_cancel(*place)
    service.signals.stop(row.execution_id)
    if row.mode != "ANSWERER":
        # it waits for its client
        return True
    owner = f"remove_{uuid4().hex}"
    item = await service.work.claim_item(*place, owner, STOPPING_SECONDS)
    if item is None:
        return False
    await service.work.done(item, owner)
    return True


async def _ended(running: list[ExecutionRecord], service: Service) -> None:
    """Give those who drive these executions time to stop; who does not is fenced off by the lost journal."""
    waiting, until = list(running), time.monotonic() + STOPPING_SECONDS
    while waiting and time.monotonic() < until:
        found = [await service.ports.catalog.get_execution(r.tenant_id, r.execution_id) for r in waiting]
        waiting = [row for row in found if row and row.status == ExecutionStatus.RUNNING]
        if waiting:
            await asyncio.sleep(STOPPING_POLL_SECONDS)


async def _remove_uploads(session: SessionRecord, service: Service) -> None:
    """Remove the uploads that no other session of the tenant uses."""
    mine = await _uploads(session, service)
    cursor: str | None = None
    while mine:
        rows, cursor = await service.ports.catalog.list_sessions(session.tenant_id, PAGE_ROWS, cursor)
        for row in rows:
            # an expired one has no documents left
            if row.session_id != session.session_id and row.status != SessionStatus.EXPIRED:
                mine -= await _uploads(row, service)
        if cursor is None:
            break
    for prefix in sorted(mine):
        await service.ports.blobs.delete_prefix(prefix)


async def _uploads(session: SessionRecord, service: Service) -> set[str]:
    rows = await service.ports.catalog.list_documents(session.tenant_id, session.session_id)
    found = (upload_prefix(session.tenant_id, row.document.raw_s3_uri or "", service) for row in rows)
    return {prefix for prefix in found if prefix}
