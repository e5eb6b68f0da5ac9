"""Executions: starting them, following them, and what they have done."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from rlm_rs.api.envelope import RECORDED, documented
from rlm_rs.api.gate import Reader, Writer
from rlm_rs.api.idempotency import Idempotent
from rlm_rs.api.pages import Cursor, Limit, growing_page, page
from rlm_rs.api.parts import PartsDep, ServiceDep
from rlm_rs.api.projections import code_log, steps_of
from rlm_rs.api.schemas import ExecutionBody, WaitBody
from rlm_rs.api.shapes import contexts_of, execution_out, execution_row, new_execution, status_of
from rlm_rs.api.views import CodePage, ContextsOut, ExecutionOut, ExecutionPage, StartedOut, StepPage
from rlm_rs.core.errors import (
    ExecutionNotFound,
    Fenced,
    IdempotencyConflict,
    NotFound,
    RequestUnderWay,
    RlmError,
    SessionExpired,
    SessionNotFound,
    SessionNotReady,
    ToolFailed,
)
from rlm_rs.core.execution import Event
from rlm_rs.core.records import ExecutionStatus
from rlm_rs.orchestrator import executions
from rlm_rs.orchestrator.event_log import replayed
from rlm_rs.orchestrator.ports import Service
from rlm_rs.orchestrator.tracing.evaluated import evaluated_trace

router = APIRouter(prefix="/v1", tags=["executions"])

_STARTING: tuple[type[RlmError], ...] = (
    SessionNotFound,
    SessionNotReady,
    SessionExpired,
    IdempotencyConflict,
    RequestUnderWay,
    ToolFailed,
    *RECORDED,
)
_FOUND = documented(*RECORDED)


@router.post("/sessions/{session_id}/executions", status_code=202, responses=documented(*_STARTING))
async def start_execution(
    session_id: str,
    body: ExecutionBody,
    caller: Writer,
    parts: PartsDep,
    response: Response,
    once: Idempotent,
) -> StartedOut | ExecutionOut:
    """Ask a question over a session. With `options.synchronous` the response is the execution, which has
    ended unless the timeout came first."""
    service = parts.service

    async def make() -> str:
        async with parts.wiring.limiter.starting_execution(caller.tenant_id):
            run = await executions.submit(caller.tenant_id, session_id, new_execution(body), service)
        return run.execution.execution_id

    execution_id = await once.result(body, make)
    response.headers["Location"] = f"/v1/executions/{execution_id}"
    if body.options.synchronous:
        timeout = body.options.synchronous_timeout_seconds
        run = await executions.wait(caller.tenant_id, execution_id, timeout, service)
        return execution_out(run, service.ports)
    run = await replayed(service.ports.log, caller.tenant_id, execution_id)
    return StartedOut(execution_id=execution_id, status=status_of(run))


@router.get("/executions", responses=documented())
async def list_executions(
    caller: Reader,
    service: ServiceDep,
    limit: Limit = 100,
    cursor: Cursor = None,
    status: Annotated[ExecutionStatus | None, Query()] = None,
    mode: Annotated[str | None, Query(pattern="^(ANSWERER|RUNTIME)$")] = None,
    session_id: Annotated[str | None, Query(max_length=200)] = None,
) -> ExecutionPage:
    """Executions, newest first."""
    rows, following = await service.ports.catalog.list_executions(
        caller.tenant_id, limit, cursor, session_id, status, mode
    )
    return ExecutionPage(executions=[execution_row(row) for row in rows], next_cursor=following)


@router.get(
    "/executions/{execution_id}", responses={**_FOUND, 304: {"description": "nothing has happened since"}}
)
async def get_execution(
    execution_id: str,
    caller: Reader,
    service: ServiceDep,
    response: Response,
    if_none_match: Annotated[str | None, Header(max_length=1000)] = None,
) -> ExecutionOut:
    """An execution as its journal has it. The ETag changes with every event."""
    run = await replayed(service.ports.log, caller.tenant_id, execution_id)
    etag = f'"{run.seq}"'
    if if_none_match and _matches(if_none_match, etag):
        return Response(status_code=304, headers={"ETag": etag})  # type: ignore[return-value]
    response.headers["ETag"] = etag
    return execution_out(run, service.ports)


async def recorded(tenant_id: str, execution_id: str, service: Service) -> list[tuple[int, Event]]:
    """The numbered events of an execution. Raises `ExecutionNotFound`."""
    events = await service.ports.log.events(tenant_id, execution_id)
    if not events:
        raise ExecutionNotFound(execution_id=execution_id)
    return events


def _matches(if_none_match: str, etag: str) -> bool:
    """The weak comparison of RFC 9110, section 8.8.3.2."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags


@router.get("/executions/{execution_id}/contexts", responses=_FOUND)
async def get_contexts(execution_id: str, caller: Reader, service: ServiceDep) -> ContextsOut:
    """The results of CONTEXTS mode, in discovery order."""
    run = await replayed(service.ports.log, caller.tenant_id, execution_id)
    return ContextsOut(contexts=contexts_of(run))


@router.get("/executions/{execution_id}/steps", responses=_FOUND)
async def get_steps(
    execution_id: str, caller: Reader, service: ServiceDep, limit: Limit = 100, cursor: Cursor = None
) -> StepPage:
    """Every step that was run, in order."""
    events = await recorded(caller.tenant_id, execution_id, service)
    rows, following = page(steps_of(events), cursor, limit)
    return StepPage.model_validate({"steps": rows, "next_cursor": following})


@router.get("/executions/{execution_id}/code", responses=_FOUND)
async def get_code(
    execution_id: str, caller: Reader, service: ServiceDep, limit: Limit = 200, cursor: Cursor = None
) -> CodePage:
    """The code log: what was written, what it asked for, what came back."""
    events = await recorded(caller.tenant_id, execution_id, service)
    rows, following = growing_page(code_log(execution_id, events), cursor, limit)
    return CodePage.model_validate({"entries": rows, "next_cursor": following})


@router.get("/executions/{execution_id}/trace", responses=documented(*RECORDED, NotFound))
async def get_trace(
    execution_id: str,
    caller: Reader,
    parts: PartsDep,
    redact: Annotated[bool, Query(description="leave out every word that was written or read")] = False,
) -> dict[str, object]:
    """The trace (`rlm_trace_v1`) of an execution so far: prompts, code, steps, sub-calls, spend, quality."""
    if not parts.wiring.settings.enable_return_trace:
        raise NotFound("ENABLE_RETURN_TRACE is off.")
    return await evaluated_trace(caller.tenant_id, execution_id, parts.service, redact=redact)


@router.post("/executions/{execution_id}/wait", responses=_FOUND)
async def wait_for_execution(
    execution_id: str, body: WaitBody, caller: Reader, service: ServiceDep
) -> ExecutionOut:
    """The execution once it has ended, or as it is when the timeout comes first."""
    run = await executions.wait(caller.tenant_id, execution_id, body.timeout_seconds, service)
    return execution_out(run, service.ports)


@router.post("/executions/{execution_id}/cancel", responses=documented(*RECORDED, Fenced))
async def cancel_execution(execution_id: str, caller: Writer, service: ServiceDep) -> ExecutionOut:
    """Stop an execution: model calls and steps under way are interrupted. One that has ended stays so."""
    run = await executions.cancel(caller.tenant_id, execution_id, service)
    return execution_out(run, service.ports)
