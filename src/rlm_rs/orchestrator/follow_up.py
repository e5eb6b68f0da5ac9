"""A follow-up question: what an earlier execution said and kept is where the new one starts."""

from __future__ import annotations

from rlm_rs.core.errors import ValidationFailed
from rlm_rs.core.execution import Earlier, Exchange
from rlm_rs.orchestrator.event_log import replayed
from rlm_rs.orchestrator.ports import Ports

REMEMBERED = 10


async def earlier_of(tenant_id: str, session_id: str, execution_id: str, ports: Ports) -> Earlier:
    """What a new execution of this session has from an earlier one.

    Raises `ExecutionNotFound`, and `ValidationFailed` for one of another session or that has not ended.
    """
    run = await replayed(ports.log, tenant_id, execution_id)
    if run.execution.session_id != session_id:
        raise ValidationFailed(reason=f"continue_from: {execution_id} is of another session.")
    if run.finished is None:
        raise ValidationFailed(reason=f"continue_from: {execution_id} has not ended yet.")
    said = run.execution.earlier.exchanges if run.execution.earlier else ()
    exchange = Exchange(execution_id, run.execution.question, run.finished.answer or "")
    return Earlier((*said, exchange)[-REMEMBERED:], run.state, run.variables)
