"""A trace together with what is known of its quality by now."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rlm_rs.core.execution import Run
from rlm_rs.core.records import EvaluationCall, EvaluationRecord
from rlm_rs.orchestrator.ports import Service
from rlm_rs.orchestrator.tracing.redaction import is_redacted, redacted
from rlm_rs.orchestrator.tracing.stored import read_trace


async def evaluated_trace(
    tenant_id: str, execution_id: str, service: Service, *, redact: bool = False
) -> dict[str, Any]:
    """The trace of an execution with its evaluation. Raises `ExecutionNotFound`, `ChecksumMismatch`."""
    trace = await read_trace(tenant_id, execution_id, service.ports)
    record = await service.evaluations.get_evaluation(tenant_id, execution_id)
    return joined(trace, record, redact=redact)


def joined(trace: dict[str, Any], record: EvaluationRecord | None, *, redact: bool = False) -> dict[str, Any]:
    """The trace with that evaluation, redacted if it is wanted or the trace was kept so."""
    execution = trace["execution"]
    evaluation = evaluation_data(record, execution["question"], execution["answer"]) if record else None
    whole = {**trace, "evaluation": evaluation}
    return redacted(whole) if redact or is_redacted(trace) else whole


def evaluation_of_run(run: Run, record: EvaluationRecord) -> dict[str, Any]:
    """An evaluation as clients see it."""
    return evaluation_data(record, run.execution.question, run.finished.answer if run.finished else None)


def evaluation_data(record: EvaluationRecord, question: str, answer: str | None) -> dict[str, Any]:
    """An evaluation as JSON values, with the question, the answer and what it cost."""
    return {
        **asdict(record),
        "status": str(record.status),
        "question": question,
        "answer": answer,
        "spend": _spend(record.calls),
    }


def _spend(calls: tuple[EvaluationCall, ...]) -> dict[str, Any]:
    costs = [call.cost_usd for call in calls]
    known = [cost for cost in costs if cost is not None]
    return {
        "calls": len(calls),
        "cache_hits": sum(call.cache_hit for call in calls),
        "input_tokens": sum(call.input_tokens for call in calls),
        "output_tokens": sum(call.output_tokens for call in calls),
        "cost_usd": sum(known) if len(known) == len(costs) else None,
    }
