"""What the service for many tenants needs besides: work under leases, keys, limits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from rlm_rs.core.records import (
    ApiKeyRecord,
    AuditRecord,
    WorkItem,
    WorkKind,
)

IDEMPOTENCY_SECONDS = 24 * 3600.0


class Work(Protocol):
    """What is waiting to be done, and who is doing it.

    Leases keep two workers from doing the same thing at once; that no work is lost or doubled rests on the
    journal's fence, not on them. Claims are fair between tenants: the tenant with the fewest items under
    lease comes first, its oldest item first.
    """

    async def add(self, kind: WorkKind, tenant_id: str, item_id: str, request_id: str = "") -> None:
        """Ask for something to be done. Adding what is waiting or under way already changes nothing.

        request_id: of the request that asks; whoever claims the item is told it.
        """

    async def claim(
        self, kind: WorkKind, owner: str, lease_seconds: float, passing_over: Collection[str] = ()
    ) -> WorkItem | None:
        """Take an item nobody holds, or whose lease has run out, of any tenant but `passing_over`.

        None if there is none.
        """

    async def claim_item(
        self, kind: WorkKind, tenant_id: str, item_id: str, owner: str, lease_seconds: float
    ) -> WorkItem | None:
        """Take this item, in whatever order; None if somebody holds it or it is not here."""

    async def renew(self, item: WorkItem, owner: str, lease_seconds: float) -> WorkItem | None:
        """Keep an item; returns it as it is now, with `cancel_requested`. None: the lease was lost."""

    async def release(self, item: WorkItem, owner: str, *, counted: bool = True) -> None:
        """Give an item back to be claimed again at once; nothing happens if the lease was lost.

        counted=False takes the claim off its attempts: the worker stops, the item did nothing wrong.
        """

    async def done(self, item: WorkItem, owner: str) -> None:
        """The item is finished; nothing happens if the lease was lost."""

    async def request_cancel(self, kind: WorkKind, tenant_id: str, item_id: str) -> bool:
        """Ask that an item be stopped. False if it is not here: it is finished, or was never added."""

    async def waiting(self, kind: WorkKind) -> int:
        """How many items are not under lease."""


class Keys(Protocol):
    """API keys by their hash."""

    async def put_key(self, key: ApiKeyRecord) -> None:
        """Write a key; replaces the one with the same hash."""

    async def find_key(self, key_hash: str) -> ApiKeyRecord | None:
        """The key with that hash, whether or not it is still good."""

    async def mark_used(self, key_hash: str, at: float) -> None:
        """Set when a key was last used and nothing else of it, so that a revocation is never undone."""

    async def list_keys(self, tenant_id: str | None = None) -> Sequence[ApiKeyRecord]:
        """All keys, or those of one tenant, oldest first."""


class AuditLog(Protocol):
    """Every mutating request, per tenant."""

    async def write(self, entry: AuditRecord) -> None:
        """Add an entry; it is durable on return."""

    async def list_entries(
        self, tenant_id: str, limit: int = 100, cursor: str | None = None
    ) -> tuple[Sequence[AuditRecord], str | None]:
        """A page of entries, newest first, and the cursor of the next page (None at the end)."""


class Idempotency(Protocol):
    """What requests with an Idempotency-Key were answered with, for 24 hours (IDEMPOTENCY_SECONDS).

    The words follow draft-ietf-httpapi-idempotency-key-header: one key stands for one request of one tenant.
    """

    async def begin(self, tenant_id: str, key: str, request_digest: str, hold_seconds: float) -> bytes | None:
        """Take a key for a request with this digest; of several at once, one gets it.

        None: the caller has it and does the work, then calls `finish`, or `abandon` if nothing came of it;
        after hold_seconds without either, the key is free again. Bytes: what that request was answered with.
        Raises `IdempotencyConflict` if the key stands for another request, and `RequestUnderWay` while
        somebody else does the work.
        """

    async def finish(self, tenant_id: str, key: str, request_digest: str, response: bytes) -> None:
        """Keep the answer of a request that has the key; the first answer stays."""

    async def abandon(self, tenant_id: str, key: str, request_digest: str) -> None:
        """Free a key whose request came to nothing; an answer that is kept stays."""


class Rates(Protocol):
    """How far each key is ahead of its rate: the generic cell rate algorithm (ITU-T I.371)."""

    async def take(self, key: str, now_ns: int, step_ns: int, burst_ns: int) -> int:
        """Move a key's time, which is never before now, on by one step, unless that leads too far.

        Returns how far past now that leads, in nanoseconds: if more than burst_ns, nothing was changed.
        """
