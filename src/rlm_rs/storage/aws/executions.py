"""Executions in DynamoDB: rows for lists, and for nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import TypeAdapter

from rlm_rs.core.execution import Mode
from rlm_rs.core.records import ExecutionRecord, ExecutionStatus
from rlm_rs.storage.aws.dynamo import Dynamo, Item, Lookup
from rlm_rs.storage.aws.large import INDEXED_INLINE_BYTES, LargeRecords
from rlm_rs.storage.aws.places import age, key, place_of_age
from rlm_rs.storage.aws.sessions import newest
from rlm_rs.storage.aws.tables import EXECUTIONS, PARTITION_KEY, SORT_KEY
from rlm_rs.storage.pages import Page, after, checked_limit, page_of

EXECUTION = TypeAdapter(ExecutionRecord)
MODES: tuple[str, ...] = get_args(Mode)
ENDED = tuple(status for status in ExecutionStatus if status != ExecutionStatus.RUNNING)
BY_ID, BY_AGE, BY_STATUS = EXECUTIONS.indexes

Rounds = Sequence[Sequence[Lookup]]


class ExecutionRows:
    """The part of `core.ports.Catalog` that is about executions.

    One index is by mode and status together: a list of one of them alone merges the few partitions it is in.
    A list of one session comes from the table itself.
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
        wanted, rows = checked_limit(limit), list[ExecutionRecord]()
        while True:
            rounds = _lookups(tenant_id, session_id, status, mode, cursor)
            items, cursor = await self._page(rounds, wanted - len(rows))
            found = await asyncio.gather(*(self._execution(item) for item in items))
            # a row that was replaced or removed meanwhile may not belong here any more
            rows += [row for row in found if row is not None and status in (None, row.status)]
            if cursor is None or len(rows) == wanted:
                return rows, cursor

    async def delete_executions(self, tenant_id: str, session_id: str) -> None:
        """Remove the rows of a session that are left, also those no index has yet."""
        while items := await self._dynamo.query(_of_session(tenant_id, session_id, None, {})):
            await self._dynamo.delete_all(
                EXECUTIONS, [(item[PARTITION_KEY], item[SORT_KEY]) for item in items]
            )
            await self._large.drop(items)

    async def count_executions(self, tenant_id: str, status: ExecutionStatus) -> int:
        (lookups,) = _lookups(tenant_id, None, status, None, None)
        return sum(await asyncio.gather(*(self._dynamo.count(lookup) for lookup in lookups)))

    async def _page(self, rounds: Rounds, limit: int) -> Page[Item]:
        """The newest items of lookups, which are made round by round, and the cursor to go on with.

        Of an item that several rounds found it is as the last of them did.
        """
        found: dict[str, Item] = {}
        for lookups in rounds:
            for items in await asyncio.gather(*(self._newest(lookup, limit + 1) for lookup in lookups)):
                found |= {str(item[SORT_KEY]): item for item in items}
        ordered = sorted(found.values(), key=lambda item: str(item["age"]), reverse=True)
        return page_of(ordered, limit, lambda item: place_of_age(str(item["age"])))

    async def _newest(self, lookup: Lookup, limit: int) -> list[Item]:
        return await self._dynamo.query(lookup, limit if lookup.newest_first else None)

    async def _execution_item(self, tenant_id: str, execution_id: str) -> Item | None:
        lookup = Lookup(
            EXECUTIONS,
            "#id_key = :id",
            {"id": key("TENANT", tenant_id, execution_id)},
            index=BY_ID,
        )
        items = await self._dynamo.query(lookup, 1)
        return items[0] if items else None

    async def _execution(self, item: Item) -> ExecutionRecord | None:
        record = await self._large.latest(
            item, lambda: self._dynamo.get(EXECUTIONS, item[PARTITION_KEY], item[SORT_KEY])
        )
        return EXECUTION.validate_json(record) if record is not None else None


def _lookups(
    tenant_id: str,
    session_id: str | None,
    status: ExecutionStatus | None,
    mode: str | None,
    cursor: str | None,
) -> Rounds:
    """What to look up, round by round."""
    if session_id is not None:
        return [[_of_session(tenant_id, session_id, cursor, {"status": status, "mode": mode})]]
    if status is None and mode is None:
        return [[Lookup(EXECUTIONS, index=BY_AGE, **newest("tenant_key", key("TENANT", tenant_id), cursor))]]

    def of(mode: str, status: ExecutionStatus) -> Lookup:
        partition = _status_key(tenant_id, mode, status)
        return Lookup(EXECUTIONS, index=BY_STATUS, **newest("status_key", partition, cursor))

    if status is not None:
        return [[of(each, status) for each in ((mode,) if mode else MODES)]]
    assert mode is not None
    # an execution that ends goes from the first partition to one of the others: looked for in this order it
    # is found in one of them or in both, and never in none
    return [[of(mode, ExecutionStatus.RUNNING)], [of(mode, ended) for ended in ENDED]]


def _of_session(
    tenant_id: str, session_id: str, cursor: str | None, wanted: Mapping[str, str | None]
) -> Lookup:
    """The rows of a session, read consistently: who removes it must see them all.

    The table has them in no order of time, and so all of them are read for every page.
    """
    values: dict[str, Any] = {name: str(value) for name, value in wanted.items() if value is not None}
    conditions = [f"#{name} = :{name}" for name in values]
    last = after(cursor)
    if cursor:
        conditions, values = [*conditions, "#age < :age"], {**values, "age": age(*last)}
    return Lookup(
        EXECUTIONS,
        "#PK = :pk",
        {"pk": key("SESSION", tenant_id, session_id), **values},
        filter=" AND ".join(conditions) or None,
    )


def _status_key(tenant_id: str, mode: str, status: ExecutionStatus) -> str:
    return key("TENANT", tenant_id, mode, str(status))
