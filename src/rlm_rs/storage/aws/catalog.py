"""The catalog in DynamoDB."""

from __future__ import annotations

from rlm_rs.storage.aws.executions import ExecutionRows
from rlm_rs.storage.aws.sessions import SessionRows


class DynamoCatalog(SessionRows, ExecutionRows):
    """`core.ports.Catalog` in the tables sessions, documents and executions.

    A row that is asked for by its session, and the executions of a session, are as the last write left them.
    Other lists, and executions asked for by their id, come from indexes, which follow by some milliseconds;
    that an execution exists and how it stands is in its journal, which is read consistently.
    """

    async def delete_session(self, tenant_id: str, session_id: str) -> None:
        # a row was removed by its id, which an index may not have had yet
        await self.delete_executions(tenant_id, session_id)
        await super().delete_session(tenant_id, session_id)
