"""Evaluations in DynamoDB."""

from __future__ import annotations

from pydantic import TypeAdapter

from rlm_rs.core.records import EvaluationRecord
from rlm_rs.storage.aws.dynamo import ConditionFailed, Dynamo, Item
from rlm_rs.storage.aws.large import LargeRecords
from rlm_rs.storage.aws.places import key
from rlm_rs.storage.aws.tables import EVALUATIONS, PARTITION_KEY, SORT_KEY

EVALUATION = TypeAdapter(EvaluationRecord)
EVAL = "EVAL"


class DynamoEvaluations:
    """`core.ports.Evaluations` in the table evaluations: `EXEC#… / EVAL`."""

    def __init__(self, dynamo: Dynamo, large: LargeRecords) -> None:
        self._dynamo = dynamo
        self._large = large

    async def put_evaluation(self, evaluation: EvaluationRecord) -> bool:
        partition = _partition(evaluation.tenant_id, evaluation.execution_id)
        kept = await self._large.kept(partition, EVALUATION.dump_json(evaluation))
        item = {PARTITION_KEY: partition, SORT_KEY: EVAL, "revision": evaluation.revision, **kept}
        latest = "attribute_not_exists(#PK) OR #revision <= :revision"
        try:
            before = await self._dynamo.put(EVALUATIONS, item, latest, revision=evaluation.revision)
        except ConditionFailed as error:
            standing = (error.item or {}).get("record_uri")
            await self._large.drop([kept], keep=standing)
            return False
        await self._large.drop([before], keep=kept.get("record_uri"))
        return True

    async def get_evaluation(self, tenant_id: str, execution_id: str) -> EvaluationRecord | None:
        async def standing() -> Item | None:
            return await self._dynamo.get(EVALUATIONS, _partition(tenant_id, execution_id), EVAL)

        item = await standing()
        record = await self._large.latest(item, standing) if item else None
        return EVALUATION.validate_json(record) if record is not None else None

    async def delete_evaluation(self, tenant_id: str, execution_id: str) -> None:
        gone = await self._dynamo.delete(EVALUATIONS, _partition(tenant_id, execution_id), EVAL)
        await self._large.drop([gone])


def _partition(tenant_id: str, execution_id: str) -> str:
    return key("EXEC", tenant_id, execution_id)
