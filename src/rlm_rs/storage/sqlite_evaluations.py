"""Evaluations in SQLite."""

from __future__ import annotations

import apsw
from pydantic import TypeAdapter

from rlm_rs.core.records import EvaluationRecord
from rlm_rs.storage.database import Database

EVALUATION = TypeAdapter(EvaluationRecord)

PUT = """
INSERT INTO evaluations VALUES (?, ?, ?, ?)
ON CONFLICT (tenant_id, execution_id) DO UPDATE SET revision = excluded.revision, record = excluded.record
WHERE excluded.revision >= evaluations.revision
"""


class SqliteEvaluations:
    """`core.ports.Evaluations`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def put_evaluation(self, evaluation: EvaluationRecord) -> bool:
        key = (evaluation.tenant_id, evaluation.execution_id)

        def put(db: apsw.Connection) -> bool:
            db.execute(PUT, (*key, evaluation.revision, EVALUATION.dump_json(evaluation)))
            return bool(db.changes())

        return await self._db.write(put)

    async def get_evaluation(self, tenant_id: str, execution_id: str) -> EvaluationRecord | None:
        query = "SELECT record FROM evaluations WHERE tenant_id = ? AND execution_id = ?"
        rows = await self._db.read(query, (tenant_id, execution_id))
        return EVALUATION.validate_json(rows[0][0]) if rows else None

    async def delete_evaluation(self, tenant_id: str, execution_id: str) -> None:
        remove = "DELETE FROM evaluations WHERE tenant_id = ? AND execution_id = ?"
        await self._db.write(lambda db: db.execute(remove, (tenant_id, execution_id)))
