"""Which item comes next: that of the tenant with the fewest items under lease, its oldest first."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from rlm_rs.core.records import WorkKind
from rlm_rs.storage.aws.dynamo import ConditionFailed, Dynamo, Item, Lookup
from rlm_rs.storage.aws.places import key
from rlm_rs.storage.aws.tables import PARTITION_KEY, SORT_KEY, WORK

BY_WAIT, BY_LEASE = WORK.indexes
TENANTS_COMPARED = 16
"""Of more tenants that are as fair to serve, so many are compared, taken at random."""
ITEMS_READ = 12
"""Items of a tenant that are read: those who claim at the same moment go down the same list."""


def work_key(kind: WorkKind, tenant_id: str) -> str:
    """The partition of a tenant's items of one kind."""
    return key("WORK", kind, tenant_id)


def lease_key(kind: WorkKind) -> str:
    """The partition, in the index by_lease, of all items of a kind that were claimed and not given back."""
    return key("LEASED", kind)


async def tenants_of(dynamo: Dynamo, kind: WorkKind) -> Mapping[str, Item]:
    """The tenants that have work of a kind, or had some lately."""
    rows = await dynamo.query(Lookup(WORK, "#PK = :pk", {"pk": key("TENANTS", kind)}))
    return {row["tenant_id"]: row for row in rows}


async def leased(dynamo: Dynamo, kind: WorkKind) -> list[Item]:
    """All items of a kind that were claimed and not given back, also those whose lease has run out."""
    lookup = Lookup(
        WORK,
        "#lease_key = :lease",
        {"lease": lease_key(kind)},
        index=BY_LEASE,
        only=("tenant_id", "item_id", "number", "lease_until"),
    )
    return await dynamo.query(lookup)


@dataclass(slots=True)
class Queues:
    """What can be claimed of a kind, tenant by tenant, oldest first; and how many each has under lease."""

    kind: WorkKind
    held: Counter[str]
    free: dict[str, list[tuple[str, str]]]
    empty: list[Item]

    @classmethod
    async def read(
        cls, dynamo: Dynamo, kind: WorkKind, now: float, passing_over: Collection[str] = ()
    ) -> Queues:
        """As the table has it now, without these tenants."""
        tenants, rows = await asyncio.gather(tenants_of(dynamo, kind), leased(dynamo, kind))
        held = Counter(row["tenant_id"] for row in rows if row["lease_until"] > now)
        free: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for row in rows:
            if row["lease_until"] <= now:
                free[row["tenant_id"]].append((row["number"], row["item_id"]))
        compared = _compared({*tenants, *free}.difference(passing_over), held)
        waiting = await asyncio.gather(*(_waiting(dynamo, kind, tenant) for tenant in compared))
        for tenant, items in zip(compared, waiting, strict=True):
            free[tenant] = sorted([*free[tenant], *items])
        empty = [tenants[t] for t in compared if t in tenants and not free[t] and not held[t]]
        return cls(kind, held, {tenant: free[tenant] for tenant in compared}, empty)

    def in_order(self) -> Iterator[tuple[str, str]]:
        """Tenants and ids of items, the fairest first, each as if those before it had been claimed."""
        held, free = Counter(self.held), {tenant: list(items) for tenant, items in self.free.items()}
        while tenants := [tenant for tenant, items in free.items() if items]:
            tenant = min(tenants, key=lambda name: (held[name], free[name][0]))
            _, item_id = free[tenant].pop(0)
            held[tenant] += 1
            yield tenant, item_id

    async def forget_empty(self, dynamo: Dynamo) -> None:
        """Take tenants off the list that have nothing left, unless something is added at this moment."""
        for row in self.empty:
            lookup = Lookup(WORK, "#PK = :pk", {"pk": work_key(self.kind, row["tenant_id"])})
            # not the index, which may lack what was added just now
            if not await dynamo.query(lookup, 1):
                with suppress(ConditionFailed):
                    await dynamo.delete(
                        WORK,
                        row[PARTITION_KEY],
                        row[SORT_KEY],
                        "#touched = :touched",
                        touched=row["touched"],
                    )


def _compared(tenants: set[str], held: Mapping[str, int]) -> list[str]:
    shuffled = random.sample(sorted(tenants), len(tenants))
    return sorted(shuffled, key=lambda tenant: held[tenant])[:TENANTS_COMPARED]


async def _waiting(dynamo: Dynamo, kind: WorkKind, tenant_id: str) -> list[tuple[str, str]]:
    lookup = Lookup(WORK, "#PK = :pk", {"pk": work_key(kind, tenant_id)}, index=BY_WAIT)
    return [(row["number"], row["item_id"]) for row in await dynamo.query(lookup, ITEMS_READ)]
