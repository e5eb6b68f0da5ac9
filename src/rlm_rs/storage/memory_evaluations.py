"""Evaluations in memory."""

from __future__ import annotations

from rlm_rs.core.records import EvaluationRecord


class MemoryEvaluations:
    """`core.ports.Evaluations`."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], EvaluationRecord] = {}

    async def put_evaluation(self, evaluation: EvaluationRecord) -> bool:
        key = (evaluation.tenant_id, evaluation.execution_id)
        standing = self._records.get(key)
        if standing and standing.revision > evaluation.revision:
            return False
        self._records[key] = evaluation
        return True

    async def get_evaluation(self, tenant_id: str, execution_id: str) -> EvaluationRecord | None:
        return self._records.get((tenant_id, execution_id))

    async def delete_evaluation(self, tenant_id: str, execution_id: str) -> None:
        self._records.pop((tenant_id, execution_id), None)
