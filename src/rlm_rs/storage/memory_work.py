"""Work in memory: a real implementation of the port, for tests and a process that ends with its work."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from rlm_rs.core.records import WorkItem, WorkKind

Place = tuple[WorkKind, str, str]


@dataclass(frozen=True, slots=True)
class _Row:
    item: WorkItem
    number: int
    owner: str | None = None
    until: float = 0.0


class MemoryWork:
    """`core.ports.Work`. `clock` gives seconds since the epoch."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._rows: dict[Place, _Row] = {}
        self._added = 0

    async def add(self, kind: WorkKind, tenant_id: str, item_id: str, request_id: str = "") -> None:
        self._added += 1
        item = WorkItem(kind, tenant_id, item_id, attempts=0, request_id=request_id)
        row = _Row(item, self._added)
        self._rows.setdefault((kind, tenant_id, item_id), row)

    async def claim(
        self, kind: WorkKind, owner: str, lease_seconds: float, passing_over: Collection[str] = ()
    ) -> WorkItem | None:
        rows = [
            row
            for row in self._rows.values()
            if row.item.kind is kind and row.item.tenant_id not in passing_over
        ]
        held = _per_tenant(row for row in rows if self._is_held(row))
        free = [row for row in rows if not self._is_held(row)]
        fairest = min(free, key=lambda row: (held.get(row.item.tenant_id, 0), row.number), default=None)
        return self._lease(fairest, owner, lease_seconds) if fairest else None

    async def claim_item(
        self, kind: WorkKind, tenant_id: str, item_id: str, owner: str, lease_seconds: float
    ) -> WorkItem | None:
        row = self._rows.get((kind, tenant_id, item_id))
        return self._lease(row, owner, lease_seconds) if row and not self._is_held(row) else None

    async def renew(self, item: WorkItem, owner: str, lease_seconds: float) -> WorkItem | None:
        row = self._held_by(item, owner)
        if row is None:
            return None
        self._rows[_place(item)] = replace(row, until=self._clock() + lease_seconds)
        return row.item

    async def release(self, item: WorkItem, owner: str, *, counted: bool = True) -> None:
        row = self._held_by(item, owner)
        if row:
            attempts = row.item.attempts - (0 if counted else 1)
            given_back = replace(row.item, attempts=attempts)
            self._rows[_place(item)] = replace(row, item=given_back, owner=None, until=0.0)

    async def done(self, item: WorkItem, owner: str) -> None:
        if self._held_by(item, owner):
            del self._rows[_place(item)]

    async def request_cancel(self, kind: WorkKind, tenant_id: str, item_id: str) -> bool:
        row = self._rows.get((kind, tenant_id, item_id))
        if row is None:
            return False
        self._rows[_place(row.item)] = replace(row, item=replace(row.item, cancel_requested=True))
        return True

    async def waiting(self, kind: WorkKind) -> int:
        return sum(row.item.kind is kind and not self._is_held(row) for row in self._rows.values())

    def _is_held(self, row: _Row) -> bool:
        return row.owner is not None and row.until > self._clock()

    def _held_by(self, item: WorkItem, owner: str) -> _Row | None:
        row = self._rows.get(_place(item))
        return row if row and row.owner == owner and self._is_held(row) else None

    def _lease(self, row: _Row, owner: str, lease_seconds: float) -> WorkItem:
        item = replace(row.item, attempts=row.item.attempts + 1)
        until = self._clock() + lease_seconds
        self._rows[_place(item)] = replace(row, item=item, owner=owner, until=until)
        return item


def _place(item: WorkItem) -> Place:
    return item.kind, item.tenant_id, item.item_id


def _per_tenant(rows: Iterable[_Row]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.item.tenant_id] = counts.get(row.item.tenant_id, 0) + 1
    return counts
