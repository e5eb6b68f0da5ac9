"""Client-driven executions: the client writes the code, step by step."""

from __future__ import annotations

from fastapi import APIRouter, Response

from rlm_rs.api.envelope import RECORDED, documented
from rlm_rs.api.gate import Writer
from rlm_rs.api.idempotency import Idempotent
from rlm_rs.api.parts import PartsDep, ServiceDep
from rlm_rs.api.schemas import ResolveBody, RuntimeBody, StepBody, given
from rlm_rs.api.shapes import new_runtime, step_out, tool_requests_of
from rlm_rs.api.views import StartedOut, StepOut, ToolsOut
from rlm_rs.core.errors import (
    BudgetExceeded,
    Fenced,
    IdempotencyConflict,
    MaxTurnsExceeded,
    RequestUnderWay,
    SandboxFailed,
    SessionExpired,
    SessionNotFound,
    SessionNotReady,
    StateInvalid,
    StateTooLarge,
    ToolFailed,
)
from rlm_rs.core.records import ExecutionStatus
from rlm_rs.orchestrator import runtime

router = APIRouter(prefix="/v1", tags=["runtime"])

_STEPS = documented(
    *RECORDED,
    SessionNotFound,
    SessionNotReady,
    SessionExpired,
    Fenced,
    SandboxFailed,
    StateInvalid,
    StateTooLarge,
    BudgetExceeded,
    MaxTurnsExceeded,
)


@router.post(
    "/sessions/{session_id}/executions/runtime",
    status_code=201,
    responses=documented(
        SessionNotFound, SessionNotReady, SessionExpired, IdempotencyConflict, RequestUnderWay, ToolFailed
    ),
)
async def create_runtime(
    session_id: str,
    caller: Writer,
    parts: PartsDep,
    response: Response,
    once: Idempotent,
    body: RuntimeBody | None = None,
) -> StartedOut:
    """Begin an execution whose steps the client writes."""
    wanted = body or RuntimeBody()

    async def make() -> str:
        new = new_runtime(wanted)
        async with parts.wiring.limiter.starting_execution(caller.tenant_id):
            run = await runtime.create_runtime(caller.tenant_id, session_id, new, parts.service)
        return run.execution.execution_id

    execution_id = await once.result(wanted, make)
    response.headers["Location"] = f"/v1/executions/{execution_id}"
    return StartedOut(execution_id=execution_id, status=ExecutionStatus.RUNNING)


@router.post("/executions/{execution_id}/steps", responses=_STEPS)
async def take_step(execution_id: str, body: StepBody, caller: Writer, service: ServiceDep) -> StepOut:
    """Run a step. What goes wrong in the code is a result (`success: false`), not an HTTP error."""
    taken = await runtime.step(
        caller.tenant_id, execution_id, body.code, body.state, body.options.resolve_tools, service
    )
    return step_out(taken)


@router.post("/executions/{execution_id}/tools/resolve", responses=_STEPS)
async def resolve_tools(
    execution_id: str, body: ResolveBody, caller: Writer, service: ServiceDep
) -> ToolsOut:
    """Answer queued requests, with the cache and within the budgets; later steps see the results."""
    answered = await runtime.resolve_tools(
        caller.tenant_id, execution_id, tool_requests_of(body), given(body.models), service
    )
    return ToolsOut(tool_results=answered.tool_results, statuses=answered.statuses)
