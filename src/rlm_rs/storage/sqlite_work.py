"""Work in one SQLite table, shared by every process that has the data directory open."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import apsw

from rlm_rs.core.records import WorkItem, WorkKind
from rlm_rs.storage.database import Database

# One step of the recursion finds the next tenant by index: a long queue costs no more than a short one.
FAIREST = """
WITH RECURSIVE tenants (tenant) AS (
    SELECT min(tenant_id) FROM work WHERE kind = :kind
    UNION ALL
    SELECT (SELECT min(tenant_id) FROM work WHERE kind = :kind AND tenant_id > tenant)
    FROM tenants WHERE tenant IS NOT NULL
), queues AS MATERIALIZED (
    SELECT
        (SELECT count(*) FROM work INDEXED BY work_by_lease
         WHERE kind = :kind AND tenant_id = tenant AND lease_until > :now) AS held,
        (SELECT number FROM work INDEXED BY work_by_age
         WHERE kind = :kind AND tenant_id = tenant AND lease_until <= :now ORDER BY number LIMIT 1) AS oldest
    FROM tenants WHERE tenant IS NOT NULL AND tenant NOT IN (SELECT value FROM json_each(:passed))
)
SELECT tenant_id, item_id FROM work WHERE number =
    (SELECT oldest FROM queues WHERE oldest IS NOT NULL ORDER BY held, oldest LIMIT 1)
"""

AS_LEASED = "RETURNING attempts, cancel_requested, request_id"

LEASE = f"""
UPDATE work SET owner = :owner, lease_until = :until, attempts = attempts + 1
WHERE kind = :kind AND tenant_id = :tenant AND item_id = :item AND lease_until <= :now
{AS_LEASED}
"""

HELD = "kind = :kind AND tenant_id = :tenant AND item_id = :item AND owner = :owner AND lease_until > :now"


class SqliteWork:
    """`core.ports.Work`. `clock` gives seconds since the epoch, alike in all processes."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._db = database
        self._clock = clock

    async def add(self, kind: WorkKind, tenant_id: str, item_id: str, request_id: str = "") -> None:
        query = "INSERT OR IGNORE INTO work (kind, tenant_id, item_id, request_id) VALUES (?, ?, ?, ?)"
        await self._db.write(lambda db: db.execute(query, (kind.value, tenant_id, item_id, request_id)))

    async def claim(
        self, kind: WorkKind, owner: str, lease_seconds: float, passing_over: Collection[str] = ()
    ) -> WorkItem | None:
        passed = json.dumps(sorted(passing_over))

        def take(db: apsw.Connection) -> WorkItem | None:
            now = self._clock()
            found = db.execute(FAIREST, {"kind": kind.value, "now": now, "passed": passed}).fetchone()
            return _lease(db, WorkItem(kind, *found), owner, now, lease_seconds) if found else None

        return await self._db.write(take)

    async def claim_item(
        self, kind: WorkKind, tenant_id: str, item_id: str, owner: str, lease_seconds: float
    ) -> WorkItem | None:
        wanted = WorkItem(kind, tenant_id, item_id)
        return await self._db.write(lambda db: _lease(db, wanted, owner, self._clock(), lease_seconds))

    async def renew(self, item: WorkItem, owner: str, lease_seconds: float) -> WorkItem | None:
        query = f"UPDATE work SET lease_until = :until WHERE {HELD} {AS_LEASED}"

        def prolong(db: apsw.Connection) -> WorkItem | None:
            now = self._clock()
            bindings = {**_held(item, owner, now), "until": now + lease_seconds}
            return _as_leased(item, db.execute(query, bindings).fetchone())

        return await self._db.write(prolong)

    async def release(self, item: WorkItem, owner: str, *, counted: bool = True) -> None:
        query = (
            f"UPDATE work SET owner = NULL, lease_until = 0, attempts = attempts - :uncounted WHERE {HELD}"
        )
        uncounted = {"uncounted": 0 if counted else 1}
        await self._db.write(lambda db: db.execute(query, {**_held(item, owner, self._clock()), **uncounted}))

    async def done(self, item: WorkItem, owner: str) -> None:
        query = f"DELETE FROM work WHERE {HELD}"
        await self._db.write(lambda db: db.execute(query, _held(item, owner, self._clock())))

    async def request_cancel(self, kind: WorkKind, tenant_id: str, item_id: str) -> bool:
        query = """UPDATE work SET cancel_requested = 1 WHERE kind = ? AND tenant_id = ? AND item_id = ?
                   RETURNING number"""
        bindings = (kind.value, tenant_id, item_id)
        return await self._db.write(lambda db: db.execute(query, bindings).fetchone() is not None)

    async def waiting(self, kind: WorkKind) -> int:
        query = "SELECT count(*) FROM work INDEXED BY work_free WHERE kind = ? AND lease_until <= ?"
        rows = await self._db.read(query, (kind.value, self._clock()))
        return int(rows[0][0])


def _lease(
    db: apsw.Connection, item: WorkItem, owner: str, now: float, lease_seconds: float
) -> WorkItem | None:
    bindings = {**_held(item, owner, now), "until": now + lease_seconds}
    return _as_leased(item, db.execute(LEASE, bindings).fetchone())


def _held(item: WorkItem, owner: str, now: float) -> dict[str, object]:
    return {
        "kind": item.kind.value,
        "tenant": item.tenant_id,
        "item": item.item_id,
        "owner": owner,
        "now": now,
    }


def _as_leased(item: WorkItem, row: tuple[Any, ...] | None) -> WorkItem | None:
    if row is None:
        return None
    return replace(item, attempts=row[0], cancel_requested=bool(row[1]), request_id=row[2])
