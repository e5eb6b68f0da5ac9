"""Evaluations as work: who is evaluated, asking for it, and doing it after an execution has ended.

An evaluation never holds up or changes the execution: it is an item of its own, done under a lease.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from rlm_rs.core.errors import EvaluationNotFound, ValidationFailed
from rlm_rs.core.execution import Run
from rlm_rs.core.records import EvaluationRecord, EvaluationStatus, ExecutionStatus, WorkKind
from rlm_rs.orchestrator.event_log import replayed
from rlm_rs.orchestrator.ports import Service

POLL_SECONDS = 0.1
BEGIN_AGAIN = 10
"""Looks at an evaluation between asking for its work again: what ended meanwhile may have taken it along."""


def is_evaluated(run: Run, service: Service) -> bool:
    """Whether an execution that has ended is to be evaluated without being asked again."""
    wanted = run.execution.options.get("evaluate")
    wanted = service.evaluate_all if wanted is None else bool(wanted)
    return wanted and why_not(run) is None


def why_not(run: Run) -> str | None:
    """Why an execution cannot be evaluated, in one sentence; None if it can."""
    execution, end = run.execution, run.finished
    if execution.mode != "ANSWERER":
        return "a client wrote its steps; only executions of a root model are evaluated."
    if execution.output_mode != "ANSWER" or execution.parent is not None:
        return "it has no answer of its own to evaluate."
    if end is None or end.status != ExecutionStatus.COMPLETED or end.answer is None:
        status = end.status if end else ExecutionStatus.RUNNING
        return f"only executions that are COMPLETED are evaluated; it is {status}."
    return None


async def queue_evaluation(run: Run, service: Service) -> None:
    """Have an execution evaluated if it is to be and was not. Asking again changes nothing."""
    execution = run.execution
    if not is_evaluated(run, service):
        return
    known = await service.evaluations.get_evaluation(execution.tenant_id, execution.execution_id)
    if known is None:
        known = begun(run)
        await service.evaluations.put_evaluation(known)
    if known.status == EvaluationStatus.RUNNING:
        await _ask_worker(execution.tenant_id, execution.execution_id, service)


async def _ask_worker(tenant_id: str, execution_id: str, service: Service) -> None:
    await service.work.add(WorkKind.EVALUATION, tenant_id, execution_id, service.request_id())
    service.signals.added(WorkKind.EVALUATION)


def begun(run: Run) -> EvaluationRecord:
    """The first record of an execution's evaluation."""
    execution, now = run.execution, time.time()
    return EvaluationRecord(
        tenant_id=execution.tenant_id,
        session_id=execution.session_id,
        execution_id=execution.execution_id,
        evaluation_id=f"eval_{uuid4().hex}",
        created_at=now,
        updated_at=now,
        reference_answers=tuple(execution.options.get("reference_answers") or ()),
    )


async def evaluation_of(tenant_id: str, execution_id: str, service: Service) -> tuple[Run, EvaluationRecord]:
    """An execution and its evaluation as it stands.

    Raises `ExecutionNotFound`, `EvaluationNotFound`, and `ValidationFailed` where there can be none.
    """
    run = await replayed(service.ports.log, tenant_id, execution_id)
    record = await service.evaluations.get_evaluation(tenant_id, execution_id)
    if record is None:
        may_still_be = run.finished is None and run.execution.mode == "ANSWERER"
        if not may_still_be and (reason := why_not(run)):
            raise ValidationFailed(reason=f"{execution_id} has no evaluation: {reason}")
        raise EvaluationNotFound(execution_id=execution_id)
    return run, record


async def request_evaluation(
    tenant_id: str,
    execution_id: str,
    service: Service,
    *,
    renew_baseline: bool = False,
    reference_answers: Sequence[str] | None = None,
) -> tuple[Run, EvaluationRecord]:
    """Ask for an evaluation, or for it to be made again; what there was of the baseline is kept.

    renew_baseline: ask the baseline afresh. reference_answers: in place of those known so far. The record is
    RUNNING: somebody has to do the work. Raises `ExecutionNotFound`, `ValidationFailed`.
    """
    run = await replayed(service.ports.log, tenant_id, execution_id)
    if reason := why_not(run):
        raise ValidationFailed(reason=f"{execution_id} cannot be evaluated: {reason}")
    while True:
        known = await service.evaluations.get_evaluation(tenant_id, execution_id)
        wanted = again(known, renew_baseline) if known else begun(run)
        if reference_answers is not None:
            wanted = replace(wanted, reference_answers=tuple(reference_answers))
        if await service.evaluations.put_evaluation(wanted):
            return run, wanted


def again(known: EvaluationRecord, renew_baseline: bool) -> EvaluationRecord:
    """The record of an evaluation that is to be made once more."""
    return replace(
        known,
        revision=known.revision + 1,
        updated_at=time.time(),
        status=EvaluationStatus.RUNNING,
        failure=None,
        renew_baseline=renew_baseline,
    )


async def recompute(
    tenant_id: str,
    execution_id: str,
    service: Service,
    *,
    renew_baseline: bool = False,
    reference_answers: Sequence[str] | None = None,
    timeout_seconds: float = 0.0,
) -> tuple[Run, EvaluationRecord]:
    """Have an execution evaluated by a worker; the record as it is then, or when the time is over.

    Raises `ExecutionNotFound`, `ValidationFailed`.
    """
    run, wanted = await request_evaluation(
        tenant_id,
        execution_id,
        service,
        renew_baseline=renew_baseline,
        reference_answers=reference_answers,
    )
    ends, looks, record = time.monotonic() + timeout_seconds, 0, wanted
    while record.status == EvaluationStatus.RUNNING and (looks == 0 or time.monotonic() < ends):
        if looks % BEGIN_AGAIN == 0:
            await _ask_worker(tenant_id, execution_id, service)
        await asyncio.sleep(min(POLL_SECONDS, max(0.0, ends - time.monotonic())))
        looks += 1
        _, record = await evaluation_of(tenant_id, execution_id, service)
    return run, record


async def ask_again_for_evaluation(tenant_id: str, execution_id: str, service: Service) -> None:
    """For who has just ended an evaluation's item: one asked for in its last moments changed nothing."""
    record = await service.evaluations.get_evaluation(tenant_id, execution_id)
    if record is not None and record.status == EvaluationStatus.RUNNING:
        await _ask_worker(tenant_id, execution_id, service)


async def evaluate(tenant_id: str, execution_id: str, service: Service) -> EvaluationRecord | None:
    """Do what is asked for of an evaluation, until nothing is; None where there is none.

    Raises `ProviderFailed` if a provider is away: nothing that was paid is paid again.
    """
    while True:
        record = await service.evaluations.get_evaluation(tenant_id, execution_id)
        if record is None or record.status != EvaluationStatus.RUNNING or service.evaluator is None:
            return record
        done = await service.evaluator.evaluate(record)
        if await service.ports.catalog.get_execution(tenant_id, execution_id) is None:
            await remove_evaluation(done, service)
            return None
        if await service.evaluations.put_evaluation(done):
            if await service.ports.catalog.get_execution(tenant_id, execution_id) is None:
                # removed with its session at this very moment
                await remove_evaluation(done, service)
            return done


async def fail_evaluation(tenant_id: str, execution_id: str, reason: str, service: Service) -> None:
    """Give up an evaluation that is still to be made."""
    record = await service.evaluations.get_evaluation(tenant_id, execution_id)
    if record is not None and record.status == EvaluationStatus.RUNNING:
        failed = replace(record, status=EvaluationStatus.FAILED, failure=reason, updated_at=time.time())
        await service.evaluations.put_evaluation(failed)


async def remove_evaluation(record: EvaluationRecord, service: Service) -> None:
    """Remove an evaluation and the records of its calls, whose prompts hold what was read."""
    for call in record.calls:
        await service.ports.blobs.delete(call.cached_at)
    await service.evaluations.delete_evaluation(record.tenant_id, record.execution_id)
