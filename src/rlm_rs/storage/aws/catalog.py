"""The catalog in DynamoDB."""

from __future__ import annotations

from rlm_rs.storage.aws.executions import ExecutionRows
from rlm_rs.storage.aws.sessions import SessionRows


class DynamoCatalog(SessionRows, ExecutionRows):
    """`core.ports.Catalog` in the tables sessions, documents and executions.

    A row that is asked for by its session is as the last write left it. Lists, and executions asked for by
    their id, come from indexes, which follow by some milliseconds; that an execution exists and how it stands
    is in its journal, which is read consistently.
    """
