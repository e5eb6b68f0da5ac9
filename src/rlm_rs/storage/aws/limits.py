"""Idempotency keys and rates in DynamoDB, shared by every process of the service."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

from rlm_rs.core.errors import BlobNotFound
from rlm_rs.core.ports import IDEMPOTENCY_SECONDS
from rlm_rs.storage.aws.dynamo import ConditionFailed, Dynamo, Item
from rlm_rs.storage.aws.large import LargeRecords
from rlm_rs.storage.aws.places import key
from rlm_rs.storage.aws.tables import IDEMPOTENCY, PARTITION_KEY, RATES, SORT_KEY, TTL_ATTRIBUTE
from rlm_rs.storage.memory_limits import replayed

MARGIN_SECONDS = 3600
KEYS_REMEMBERED = 10_000
RATE = "RATE"
FREE = "attribute_not_exists(#PK) OR #until <= :now"
OPEN = "#request_digest = :digest AND attribute_not_exists(#answered)"


class DynamoIdempotency:
    """`core.ports.Idempotency`. `clock` gives seconds since the epoch, alike in all processes."""

    def __init__(self, dynamo: Dynamo, large: LargeRecords, clock: Callable[[], float] = time.time) -> None:
        self._dynamo = dynamo
        self._large = large
        self._clock = clock

    async def begin(self, tenant_id: str, key: str, request_digest: str, hold_seconds: float) -> bytes | None:
        partition, sort = _place(tenant_id, key)
        now = self._clock()
        item = {
            PARTITION_KEY: partition,
            SORT_KEY: sort,
            "request_digest": request_digest,
            "until": now + hold_seconds,
            TTL_ATTRIBUTE: _removed_after(hold_seconds),
        }
        try:
            await self._large.drop([await self._dynamo.put(IDEMPOTENCY, item, FREE, now=now)])
        except ConditionFailed as error:
            known = error.item or {}
            try:
                response = await self._response(known)
            except BlobNotFound:
                # its time was over at this moment: what stands there now is another's, or nothing
                known = await self._dynamo.get(IDEMPOTENCY, partition, sort) or {
                    "request_digest": request_digest
                }
                response = await self._response(known)
            return replayed(key, request_digest, str(known.get("request_digest")), response)
        return None

    async def finish(self, tenant_id: str, key: str, request_digest: str, response: bytes) -> None:
        place = _place(tenant_id, key)
        kept = await self._large.kept("/".join((*place, uuid4().hex)), response)
        values = {
            **kept,
            "answered": True,
            "until": self._clock() + IDEMPOTENCY_SECONDS,
            TTL_ATTRIBUTE: _removed_after(IDEMPOTENCY_SECONDS),
        }
        change = "SET " + ", ".join(f"#{name} = :{name}" for name in values)
        try:
            await self._dynamo.update(IDEMPOTENCY, *place, change, OPEN, **values, digest=request_digest)
        except ConditionFailed:
            # the first answer stays
            await self._large.drop([kept])

    async def abandon(self, tenant_id: str, key: str, request_digest: str) -> None:
        with suppress(ConditionFailed):
            await self._dynamo.delete(IDEMPOTENCY, *_place(tenant_id, key), OPEN, digest=request_digest)

    async def _response(self, known: Item) -> bytes | None:
        return await self._large.read(known) if "answered" in known else None


class DynamoRates:
    """`core.ports.Rates`: one conditional write moves a key's time, whoever else does at the same moment."""

    def __init__(self, dynamo: Dynamo) -> None:
        self._dynamo = dynamo
        self._last: dict[str, int] = {}

    async def take(self, key: str, now_ns: int, step_ns: int, burst_ns: int) -> int:
        room = now_ns + burst_ns - step_ns
        # a guess: most keys are either idle or asked for again and again
        time_ns: int | None = self._last.get(key)
        while True:
            idle = time_ns is None or time_ns < now_ns
            try:
                if idle and step_ns > burst_ns:
                    return step_ns
                moved = await (
                    self._begun(key, now_ns, step_ns) if idle else self._moved(key, now_ns, room, step_ns)
                )
            except ConditionFailed as error:
                time_ns = int(error.item["time_ns"]) if error.item else None
                if time_ns is not None and time_ns > max(room, now_ns - 1):
                    return time_ns + step_ns - now_ns
            else:
                self._remember(key, moved)
                return moved - now_ns

    async def _begun(self, rate: str, now_ns: int, step_ns: int) -> int:
        """The time of a key that is not ahead of now, moved on from now."""
        partition, moved = key("RATE", rate), now_ns + step_ns
        expiry = int(time.time()) + MARGIN_SECONDS
        item = {PARTITION_KEY: partition, SORT_KEY: RATE, "time_ns": moved, TTL_ATTRIBUTE: expiry}
        await self._dynamo.put(RATES, item, "attribute_not_exists(#PK) OR #time_ns < :now", now=now_ns)
        return moved

    async def _moved(self, rate: str, now_ns: int, room: int, step_ns: int) -> int:
        """The time of a key that is ahead of now, moved on from where it is."""
        item = await self._dynamo.update(
            RATES,
            key("RATE", rate),
            RATE,
            "SET #time_ns = #time_ns + :step",
            "#time_ns BETWEEN :now AND :room",
            step=step_ns,
            now=now_ns,
            room=max(room, now_ns),
        )
        return int(item["time_ns"])

    def _remember(self, key: str, time_ns: int) -> None:
        if len(self._last) >= KEYS_REMEMBERED:
            self._last.clear()
        self._last[key] = time_ns


def _place(tenant_id: str, idempotency_key: str) -> tuple[str, str]:
    # of any length and any characters
    digest = hashlib.sha256(idempotency_key.encode("utf-8", "surrogatepass")).hexdigest()
    return key("TENANT", tenant_id), key("KEY", digest)


def _removed_after(seconds: float) -> int:
    """When DynamoDB may remove an item that counts for so long; that it does not count is in the item."""
    return int(time.time() + seconds) + MARGIN_SECONDS
