"""Executions in DynamoDB: rows for lists, and for nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import product
from typing import Any, get_args

from pydantic import TypeAdapter

from rlm_rs.core.execution import Mode
from rlm_rs.core.records import ExecutionRecord, ExecutionStatus
from rlm_rs.storage.aws.dynamo import Dynamo, Item, Lookup
from rlm_rs.storage.aws.large import INDEXED_INLINE_BYTES, LargeRecords
from rlm_rs.storage.aws.places import age, key
from rlm_rs.storage.aws.sessions import newest
from rlm_rs.storage.aws.tables import EXECUTIONS, PARTITION_KEY, SORT_KEY
from rlm_rs.storage.pages import Page, checked_limit, page_of

EXECUTION = TypeAdapter(ExecutionRecord)
MODES: tuple[str, ...] = get_args(Mode)
BY_ID, BY_SESSION, BY_AGE, BY_STATUS = EXECUTIONS.indexes


class ExecutionRows:
    """The part of `core.ports.Catalog` that is about executions.

    One index is by mode and status together: a list of one of them alone merges the few partitions it is in.
    """

    def __init__(self, dynamo: Dynamo, large: LargeRecords) -> None:
        self._dynamo = dynamo
        self._large = large

    async def put_execution(self, execution: ExecutionRecord) -> None:
        partition = key("SESSION", execution.tenant_id, execution.session_id)
        sort = key("EXEC", execution.execution_id)
        record = EXECUTION.dump_json(execution)
        kept = await self._large.kept(f"{partition}/{sort}", record, INDEXED_INLINE_BYTES)
        row = {
            PARTITION_KEY: partition,
            SORT_KEY: sort,
            "tenant_id": execution.tenant_id,
            "session_id": execution.session_id,
            "status": str(execution.status),
            "mode": execution.mode,
            "age": age(execution.created_at, execution.execution_id),
            "id_key": key("TENANT", execution.tenant_id, execution.execution_id),
            "tenant_key": key("TENANT", execution.tenant_id),
            "status_key": _status_key(execution.tenant_id, execution.mode, execution.status),
            **kept,
        }
        await self._large.drop([await self._dynamo.put(EXECUTIONS, row)], keep=kept.get("record_uri"))

    async def get_execution(self, tenant_id: str, execution_id: str) -> ExecutionRecord | None:
        item = await self._execution_item(tenant_id, execution_id)
        return await self._execution(item) if item else None

    async def delete_execution(self, tenant_id: str, execution_id: str) -> None:
        item = await self._execution_item(tenant_id, execution_id)
        if item:
            gone = await self._dynamo.delete(EXECUTIONS, item[PARTITION_KEY], item[SORT_KEY])
            await self._large.drop([gone])

    async def list_executions(
        self,
        tenant_id: str,
        limit: int = 100,
        cursor: str | None = None,
        session_id: str | None = None,
        status: ExecutionStatus | None = None,
        mode: str | None = None,
    ) -> Page[ExecutionRecord]:
        lookups = _lookups(tenant_id, session_id, status, mode, cursor)
        wanted = checked_limit(limit) + 1
        found = await asyncio.gather(*(self._dynamo.query(lookup, wanted) for lookup in lookups))
        items = sorted((item for items in found for item in items), key=lambda i: str(i["age"]), reverse=True)
        rows = await asyncio.gather(*(self._execution(item) for item in items[:wanted]))
        return page_of(rows, limit, lambda execution: (execution.created_at, execution.execution_id))

    async def count_executions(self, tenant_id: str, status: ExecutionStatus) -> int:
        lookups = _lookups(tenant_id, None, status, None, None)
        return sum(await asyncio.gather(*(self._dynamo.count(lookup) for lookup in lookups)))

    async def _execution_item(self, tenant_id: str, execution_id: str) -> Item | None:
        lookup = Lookup(
            EXECUTIONS,
            "#id_key = :id",
            {"id": key("TENANT", tenant_id, execution_id)},
            index=BY_ID,
        )
        items = await self._dynamo.query(lookup, 1)
        return items[0] if items else None

    async def _execution(self, item: Item) -> ExecutionRecord:
        return EXECUTION.validate_json(await self._large.read(item))


def _lookups(
    tenant_id: str,
    session_id: str | None,
    status: ExecutionStatus | None,
    mode: str | None,
    cursor: str | None,
) -> Sequence[Lookup]:
    if session_id is not None:
        rows = newest("PK", key("SESSION", tenant_id, session_id), cursor)
        return [Lookup(EXECUTIONS, index=BY_SESSION, **_filtered(rows, status, mode))]
    if status is None and mode is None:
        return [Lookup(EXECUTIONS, index=BY_AGE, **newest("tenant_key", key("TENANT", tenant_id), cursor))]
    pairs = product((mode,) if mode else MODES, (status,) if status else ExecutionStatus)
    return [
        Lookup(EXECUTIONS, index=BY_STATUS, **newest("status_key", _status_key(tenant_id, *pair), cursor))
        for pair in pairs
    ]


def _filtered(rows: dict[str, Any], status: ExecutionStatus | None, mode: str | None) -> dict[str, Any]:
    """A lookup in one session, whose rows are few enough to be read and dropped."""
    wanted = {name: str(value) for name, value in (("status", status), ("mode", mode)) if value is not None}
    if not wanted:
        return rows
    return {
        **rows,
        "values": {**rows["values"], **wanted},
        "filter": " AND ".join(f"#{name} = :{name}" for name in wanted),
    }


def _status_key(tenant_id: str, mode: str, status: ExecutionStatus) -> str:
    return key("TENANT", tenant_id, mode, str(status))
