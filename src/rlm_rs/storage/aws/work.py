"""Work in DynamoDB: an item for each thing to do, with the lease of whoever does it; SQS carries wake-ups.

The table `work` holds `WORK#kind#tenant / ITEM#id`, and for each kind `TENANTS#kind / TENANT#id`, the tenants
that have work. An item that nobody holds is in the index by_wait, one under lease in by_lease, where it stays
when the lease runs out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any
from uuid import uuid4

from rlm_rs.core.records import WorkItem, WorkKind
from rlm_rs.storage.aws.dynamo import ConditionFailed, Dynamo, Item, Lookup
from rlm_rs.storage.aws.fairness import Queues, lease_key, leased, tenants_of, work_key
from rlm_rs.storage.aws.places import key
from rlm_rs.storage.aws.tables import PARTITION_KEY, SORT_KEY, WORK
from rlm_rs.storage.aws.wake_ups import WakeUp, WakeUps

LOOK_SECONDS = 5.0
"""How often the table is looked at where no wake-up came: what a lost one was for is found within this."""
PASSING_LOOK_SECONDS = 1.0
"""The same for a worker that is full, and begins more only for tenants it does nothing for."""
WAKE_UPS_REMEMBERED = 10_000
ROUNDS = 4
"""Looks at the queues in one claim, when others have taken all that was found."""
KEPT_SHARE, KEPT_SECONDS = 0.5, 10.0
"""A renewal writes when less of the lease, or of time, than this is left; before that it reads."""

BY_WAIT, BY_LEASE = WORK.indexes
FREE = "attribute_exists(#PK) AND (attribute_not_exists(#lease_until) OR #lease_until <= :now)"
MINE = "#owner = :owner AND #lease_until > :now"
GIVEN_BACK = (
    "SET #waiting = #number, #attempts = #attempts - :uncounted REMOVE #owner, #lease_until, #lease_key"
)

Held = tuple[WorkKind, str, str, str]


class DynamoWork:
    """`core.ports.Work`. `clock` gives seconds since the epoch, alike in all processes.

    `renew` leaves a lease alone while half of it is left and that is long, so that a heartbeat is mostly a
    read.
    """

    def __init__(
        self,
        dynamo: Dynamo,
        wake_ups: WakeUps,
        clock: Callable[[], float] = time.time,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._dynamo = dynamo
        self._wake_ups = wake_ups
        self._clock = clock
        self._look_seconds = look_seconds
        self._looked: dict[WorkKind, float] = {}
        self._held: dict[Held, WakeUp] = {}
        self._last_number = 0

    async def add(self, kind: WorkKind, tenant_id: str, item_id: str, request_id: str = "") -> None:
        item = {
            PARTITION_KEY: work_key(kind, tenant_id),
            SORT_KEY: key("ITEM", item_id),
            "tenant_id": tenant_id,
            "item_id": item_id,
            "attempts": 0,
            "cancel_requested": False,
            "request_id": request_id,
            **self._numbered(),
        }
        with suppress(ConditionFailed):
            await self._dynamo.put(WORK, item, "attribute_not_exists(#PK)")
        # also for what was there: whoever added it may have been killed before this
        await self._register(kind, tenant_id)
        await self._wake_ups.send(kind, tenant_id, item_id)

    async def claim(
        self, kind: WorkKind, owner: str, lease_seconds: float, passing_over: Collection[str] = ()
    ) -> WorkItem | None:
        if passing_over:
            # a wake-up may be for those passed over, and giving it back often makes a dead letter of it
            if not self._is_look_due(kind, min(self._look_seconds, PASSING_LOOK_SECONDS)):
                return None
            return await self._fairest(kind, owner, lease_seconds, passing_over)
        wake_up = await self._wake_ups.receive(kind, lease_seconds)
        if wake_up is None and not self._is_look_due(kind, min(self._look_seconds, lease_seconds)):
            return None
        item = await self._fairest(kind, owner, lease_seconds, ())
        if item is None and wake_up is not None:
            # an index may not have it yet
            named = (kind, wake_up.tenant_id, wake_up.item_id)
            item = await self.claim_item(*named, owner, lease_seconds)
        if item is None:
            if wake_up is not None:
                await self._put_back(wake_up)
            return None
        self._looked.pop(kind, None)
        if wake_up is not None:
            self._keep(_held(item, owner), wake_up)
        return item

    async def claim_item(
        self, kind: WorkKind, tenant_id: str, item_id: str, owner: str, lease_seconds: float
    ) -> WorkItem | None:
        now = self._clock()
        try:
            row = await self._dynamo.update(
                WORK,
                work_key(kind, tenant_id),
                key("ITEM", item_id),
                "SET #owner = :owner, #lease_until = :until, #lease_key = :lease "
                "REMOVE #waiting ADD #attempts :one",
                FREE,
                owner=owner,
                until=now + lease_seconds,
                lease=lease_key(kind),
                one=1,
                now=now,
            )
        except ConditionFailed:
            return None
        return _item(kind, row)

    async def renew(self, item: WorkItem, owner: str, lease_seconds: float) -> WorkItem | None:
        now = self._clock()
        row = await self._row(item)
        if row is None or not _is_mine(row, owner, now):
            return None
        enough = max(KEPT_SHARE * lease_seconds, KEPT_SECONDS)
        if now + enough <= row["lease_until"] <= now + lease_seconds:
            return _item(item.kind, row)
        changed = await self._change(item, owner, "SET #lease_until = :until", until=now + lease_seconds)
        wake_up = self._held.get(_held(item, owner))
        if wake_up is not None and changed is not None:
            await self._wake_ups.extend(wake_up, lease_seconds)
        return _item(item.kind, changed) if changed else None

    async def release(self, item: WorkItem, owner: str, *, counted: bool = True) -> None:
        changed = await self._change(item, owner, GIVEN_BACK, uncounted=0 if counted else 1)
        wake_up = self._held.pop(_held(item, owner), None)
        if changed is None:
            return
        await self._register(item.kind, item.tenant_id)
        if wake_up is not None:
            await self._wake_ups.extend(wake_up, 0)
        else:
            await self._wake_ups.send(item.kind, item.tenant_id, item.item_id)

    async def done(self, item: WorkItem, owner: str) -> None:
        wake_up = self._held.pop(_held(item, owner), None)
        try:
            await self._dynamo.delete(WORK, *_place(item), MINE, owner=owner, now=self._clock())
        except ConditionFailed:
            return
        if wake_up is not None:
            await self._wake_ups.remove(wake_up)

    async def request_cancel(self, kind: WorkKind, tenant_id: str, item_id: str) -> bool:
        place = _place(WorkItem(kind, tenant_id, item_id))
        try:
            await self._dynamo.update(
                WORK, *place, "SET #cancel_requested = :yes", "attribute_exists(#PK)", yes=True
            )
        except ConditionFailed:
            return False
        return True

    async def waiting(self, kind: WorkKind) -> int:
        tenants = await tenants_of(self._dynamo, kind)
        lookups = [
            Lookup(WORK, "#PK = :pk", {"pk": work_key(kind, tenant)}, index=BY_WAIT) for tenant in tenants
        ]
        counts = await asyncio.gather(*(self._dynamo.count(lookup) for lookup in lookups))
        now = self._clock()
        ran_out = [row for row in await leased(self._dynamo, kind) if row["lease_until"] <= now]
        return sum(counts) + len(ran_out)

    async def _fairest(
        self, kind: WorkKind, owner: str, lease_seconds: float, passing_over: Collection[str]
    ) -> WorkItem | None:
        self._looked[kind] = time.monotonic()
        for _ in range(ROUNDS):
            queues = await Queues.read(self._dynamo, kind, self._clock(), passing_over)
            found = list(queues.in_order())
            for tenant_id, item_id in found:
                item = await self.claim_item(kind, tenant_id, item_id, owner, lease_seconds)
                if item is not None:
                    return item
            if not found:
                await queues.forget_empty(self._dynamo)
                return None
        return None

    def _is_look_due(self, kind: WorkKind, pause: float) -> bool:
        return time.monotonic() - self._looked.get(kind, float("-inf")) >= pause

    def _keep(self, held: Held, wake_up: WakeUp) -> None:
        # an item put off by shortening its lease is never given back: its wake-up comes back by itself
        while len(self._held) >= WAKE_UPS_REMEMBERED:
            del self._held[next(iter(self._held))]
        self._held[held] = wake_up

    async def _put_back(self, wake_up: WakeUp) -> None:
        """A wake-up with nothing to do. It stays only for an item that is free but could not be claimed.

        For one that somebody holds it would come back again and again, and end as a dead letter. If its
        holder is lost, the next look finds the item; a holder who gives it back sends a wake-up, or has one.
        """
        row = await self._row(WorkItem(wake_up.kind, wake_up.tenant_id, wake_up.item_id))
        if row is not None and row.get("lease_until", 0.0) <= self._clock():
            await self._wake_ups.extend(wake_up, 1.0)
            return
        await self._wake_ups.remove(wake_up)
        # it may stand for another item, which an index does not have yet
        self._looked.pop(wake_up.kind, None)

    async def _register(self, kind: WorkKind, tenant_id: str) -> None:
        touched = {"tenant_id": tenant_id, "touched": uuid4().hex}
        place = {PARTITION_KEY: key("TENANTS", kind), SORT_KEY: key("TENANT", tenant_id)}
        await self._dynamo.put(WORK, {**place, **touched})

    async def _row(self, item: WorkItem) -> Item | None:
        return await self._dynamo.get(WORK, *_place(item))

    async def _change(self, item: WorkItem, owner: str, change: str, **values: Any) -> Item | None:
        """Change an item this owner holds; None if the lease was lost."""
        try:
            return await self._dynamo.update(
                WORK, *_place(item), change, MINE, owner=owner, now=self._clock(), **values
            )
        except ConditionFailed:
            return None

    def _numbered(self) -> Item:
        """A number that is higher than any this process gave, and than most that others did before."""
        self._last_number = max(self._last_number + 1, time.time_ns())
        number = f"{self._last_number:020}"
        return {"number": number, "waiting": number}


def _place(item: WorkItem) -> tuple[str, str]:
    return work_key(item.kind, item.tenant_id), key("ITEM", item.item_id)


def _held(item: WorkItem, owner: str) -> Held:
    return item.kind, item.tenant_id, item.item_id, owner


def _is_mine(row: Item, owner: str, now: float) -> bool:
    return row.get("owner") == owner and float(row["lease_until"]) > now


def _item(kind: WorkKind, row: Item) -> WorkItem:
    return WorkItem(
        kind,
        row["tenant_id"],
        row["item_id"],
        row["attempts"],
        row["cancel_requested"],
        row.get("request_id", ""),
    )
