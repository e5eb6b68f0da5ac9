"""How good answers are: evaluations of executions, and making them again."""

from __future__ import annotations

from fastapi import APIRouter

from rlm_rs.api.envelope import RECORDED, documented
from rlm_rs.api.gate import Reader, Writer
from rlm_rs.api.parts import ServiceDep
from rlm_rs.api.schemas import RecomputeBody
from rlm_rs.api.shapes import evaluation_out
from rlm_rs.api.views import EvaluationOut
from rlm_rs.core.errors import EvaluationNotFound
from rlm_rs.orchestrator import evaluating

router = APIRouter(prefix="/v1", tags=["evaluation"])


@router.get("/executions/{execution_id}/evaluation", responses=documented(*RECORDED, EvaluationNotFound))
async def get_evaluation(execution_id: str, caller: Reader, service: ServiceDep) -> EvaluationOut:
    """The evaluation of an execution as it stands: baseline, judge metrics, scores, what it cost."""
    return evaluation_out(*await evaluating.evaluation_of(caller.tenant_id, execution_id, service))


@router.post("/executions/{execution_id}/evaluation/recompute", responses=documented(*RECORDED))
async def recompute_evaluation(
    execution_id: str, caller: Writer, service: ServiceDep, body: RecomputeBody | None = None
) -> EvaluationOut:
    """Evaluate an execution that is COMPLETED, for the first time or again. A worker does it; the response
    waits for it up to the timeout. What the judge was asked before is not paid again."""
    wanted = body or RecomputeBody()
    return evaluation_out(
        *await evaluating.recompute(
            caller.tenant_id,
            execution_id,
            service,
            renew_baseline=wanted.recompute_baseline,
            reference_answers=wanted.reference_answers,
            timeout_seconds=wanted.timeout_seconds,
        )
    )
