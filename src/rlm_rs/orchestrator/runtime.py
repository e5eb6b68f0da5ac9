"""Runtime mode: a client writes the steps, and they take the same path as a root model's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from rlm_rs.core.budget import Exhausted, exhausted
from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import (
    BudgetExceeded,
    Fenced,
    MaxTurnsExceeded,
    StateInvalid,
    StateTooLarge,
    ValidationFailed,
)
from rlm_rs.core.execution import RootReplied, Run
from rlm_rs.core.nesting import MAX_NESTING, depth_of
from rlm_rs.orchestrator.answerer import RESOLVERS, answer
from rlm_rs.orchestrator.client_requests import as_client_sees, requests_of
from rlm_rs.orchestrator.event_log import replayed
from rlm_rs.orchestrator.executions import Choices, furnished, opened
from rlm_rs.orchestrator.lifecycle import open_session, ready_session
from rlm_rs.orchestrator.outcome import finish, record_of
from rlm_rs.orchestrator.ports import Ports, Service
from rlm_rs.orchestrator.removal import keep_or_remove
from rlm_rs.orchestrator.root import used_up
from rlm_rs.orchestrator.steps import reserved_state, take_step
from rlm_rs.orchestrator.subcalls import resolve
from rlm_rs.sandbox.protocol import RESERVED_STATE_KEYS, ContextShape, StepResult, SubcallRequest

CLIENT = "client"


@dataclass(frozen=True, slots=True)
class NewRuntime:
    """An execution whose steps a client writes."""

    choices: Choices = Choices()
    context_shape: ContextShape = "documents"


@dataclass(frozen=True, slots=True)
class StepView:
    """What a step gave, as JSON values. final is None where the step neither answered nor yielded.

    tool_requests: what was queued, by kind. state holds the reserved keys too.
    """

    success: bool
    stdout: str
    state: dict[str, Any]
    span_log: list[dict[str, Any]]
    tool_requests: dict[str, list[dict[str, Any]]]
    final: dict[str, Any] | None
    error: dict[str, Any] | None
    run: Run


@dataclass(frozen=True, slots=True)
class ToolView:
    """What sub-calls gave: results by kind and key, and the status of each key."""

    tool_results: dict[str, dict[str, Any]]
    statuses: dict[str, str]
    run: Run


async def create_runtime(tenant_id: str, session_id: str, new: NewRuntime, service: Service) -> Run:
    """Record a new execution for a client to step. Raises as `executions.submit` does."""
    session = await open_session(tenant_id, session_id, service)
    execution = await furnished(opened(session, new.choices, "", "RUNTIME", service), None, service.ports)
    execution = replace(execution, context_shape=new.context_shape)
    # a row without a journal would be RUNNING in lists for ever
    run = await service.ports.log.start(execution)
    await service.ports.catalog.put_execution(record_of(run))
    await keep_or_remove(run, service)
    return run


async def step(
    tenant_id: str,
    execution_id: str,
    code: str,
    state: Mapping[str, Any] | None,
    resolve_tools: bool,
    service: Service,
) -> StepView:
    """Run a client's code as the next step, over its `state` if it sends one.

    Calls that return are always resolved; what was queued only with `resolve_tools`. FINAL ends the
    execution. What the code does wrong is in the view; raises `ExecutionNotFound`, `SessionExpired`,
    `ValidationFailed`, `StateInvalid`, `StateTooLarge`, `BudgetExceeded`.
    """
    async with _driven(tenant_id, execution_id, service) as (run, corpus):
        if state is not None:
            _check_state(state, run)
        run = await _with_room(run, corpus, service.ports)
        reply = RootReplied(
            turn=len(run.turns), text=code, code=code, model=CLIENT, state=state, cost_usd=0.0
        )
        run = await service.ports.log.append(run, reply)
        run = await _stepped(run, corpus, service.ports)
        result = run.turns[-1].step
        if result is None:
            raise ValueError("a step that was run has a result")
        queued = run.pending
        if queued and resolve_tools:
            run = await resolve(run, corpus, service.ports, answer, RESOLVERS)
        if run.final is not None:
            run = await finish(run, corpus, service.ports)
        return _view(run, result, queued)


async def resolve_tools(
    tenant_id: str,
    execution_id: str,
    tool_requests: Mapping[str, Sequence[Mapping[str, Any]]],
    models: Mapping[str, str],
    service: Service,
) -> ToolView:
    """Resolve sub-calls a client names (`llm` and `search`, as steps queue them), within the budgets.

    The next step finds the results in `state["_tool_results"]`. models: a `sub_model` to ask in place of the
    execution's own. Raises as `step` does.
    """
    async with _driven(tenant_id, execution_id, service) as (run, corpus):
        requests = requests_of(tool_requests, run.execution.budgets)
        if not run.turns:
            # sub-calls belong to a turn
            run = await _with_room(run, corpus, service.ports)
            run = await service.ports.log.append(
                run, RootReplied(turn=0, text="", model=CLIENT, cost_usd=0.0)
            )
        asking = service.models(
            run.execution.models.root, models.get("sub_model") or run.execution.models.sub
        )
        asked = replace(run, pending=requests, execution=replace(run.execution, models=asking))
        run = await resolve(asked, corpus, service.ports, answer, RESOLVERS)
        return _tool_view(run, requests)


@asynccontextmanager
async def _driven(tenant_id: str, execution_id: str, service: Service) -> AsyncIterator[tuple[Run, Corpus]]:
    """The execution while a client's request is at work on it; a cancellation interrupts the request."""
    log = service.ports.log
    run = await replayed(log, tenant_id, execution_id)
    if run.execution.mode != "RUNTIME":
        raise ValidationFailed(reason=f"{execution_id} is driven by a root model; it takes no steps.")
    _check_open(run)
    _, corpus = await ready_session(tenant_id, run.execution.session_id, service)
    try:
        async with _interruptible(execution_id, service):
            yield run, corpus
        await keep_or_remove(run, service)
    except Fenced:
        _check_open(await replayed(log, tenant_id, execution_id))
        raise
    finally:
        log.forget(execution_id)


@asynccontextmanager
async def _interruptible(execution_id: str, service: Service) -> AsyncIterator[None]:
    stop, at_work = service.signals.watch(execution_id), asyncio.current_task()

    async def interrupt() -> None:
        await stop.wait()
        if at_work is not None:
            at_work.cancel()

    watching = asyncio.ensure_future(interrupt())
    try:
        yield
    except asyncio.CancelledError:
        if at_work is None or not stop.is_set() or at_work.uncancel():
            raise
        raise _ended(execution_id, "CANCELLED") from None
    finally:
        watching.cancel()
        service.signals.unwatch(execution_id, stop)


def _check_open(run: Run) -> None:
    if run.finished is not None:
        raise _ended(run.execution.execution_id, str(run.finished.status))


def _ended(execution_id: str, status: str) -> ValidationFailed:
    return ValidationFailed(reason=f"{execution_id} has ended ({status}); start another.", status=status)


def _check_state(state: Mapping[str, Any], run: Run) -> None:
    if not isinstance(state, Mapping):
        raise StateInvalid(reason="state must be a JSON object")
    if depth_of(state) > MAX_NESTING:
        raise StateInvalid(reason=f"state is nested more than {MAX_NESTING} levels deep")
    own = {name: value for name, value in state.items() if name not in RESERVED_STATE_KEYS}
    try:
        size = len(json.dumps(own, allow_nan=False, ensure_ascii=False))
        # what the journal and the sandbox cannot carry: integers beyond 64 bits, lone surrogates
        orjson.dumps(own)
    except (TypeError, ValueError) as error:
        raise StateInvalid(reason=f"state is not JSON: {error}") from error
    limit = run.execution.budgets.max_state_chars
    if size > limit:
        raise StateTooLarge(size=size, limit=limit)


async def _with_room(run: Run, corpus: Corpus, ports: Ports) -> Run:
    """The run, if a budget is left for one more turn; else it ends here."""
    spend = replace(run.spend, seconds=ports.log.elapsed(run))
    out = exhausted(run.execution.budgets, spend)
    if out is not None:
        await _exhausted(run, corpus, out, ports)
    return run


async def _stepped(run: Run, corpus: Corpus, ports: Ports) -> Run:
    """Take the step to its end, through every call it waits for."""
    while run.code is not None:
        out = used_up(run, ports)
        if out is not None:
            await _exhausted(run, corpus, out, ports)
        elif run.pending:
            run = await resolve(run, corpus, ports, answer, RESOLVERS)
        else:
            run = await take_step(run, corpus, ports)
    return run


async def _exhausted(run: Run, corpus: Corpus, out: Exhausted, ports: Ports) -> None:
    """End the execution: there is no root model here to ask for a best answer."""
    silent = RootReplied(
        turn=len(run.turns), text="", model=CLIENT, exhausted=out.status, problem=str(out), cost_usd=0.0
    )
    await finish(await ports.log.append(run, silent), corpus, ports)
    error = MaxTurnsExceeded if out.status == "MAX_TURNS_EXCEEDED" else BudgetExceeded
    raise error(budget=out.budget, limit=out.limit)


def _view(run: Run, result: StepResult, queued: Sequence[SubcallRequest]) -> StepView:
    return StepView(
        success=result.error is None,
        stdout=result.stdout,
        state={**run.state, **reserved_state(run)},
        span_log=[asdict(span) for span in result.spans],
        tool_requests=as_client_sees(queued),
        final=_final(result),
        error=asdict(result.error) if result.error else None,
        run=run,
    )


def _final(result: StepResult) -> dict[str, Any] | None:
    if result.final is not None:
        return {"is_final": True, "answer": result.final.answer, "value": result.final.value}
    return {"is_final": False, "answer": result.yielded} if result.yielded is not None else None


def _tool_view(run: Run, requests: Sequence[SubcallRequest]) -> ToolView:
    results: dict[str, dict[str, Any]] = {"llm": {}, "search": {}}
    for request in requests:
        kind = "search" if request.kind == "search" else "llm"
        if request.key in run.tool_results[kind]:
            results[kind][request.key] = dict(run.tool_results[kind][request.key])
    # one that the time did not suffice for can be asked again
    return ToolView(results, {r.key: run.tool_status.get(r.key, "pending") for r in requests}, run)
