"""Idempotency keys and rates in memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from rlm_rs.core.errors import IdempotencyConflict, RequestUnderWay
from rlm_rs.core.ports import IDEMPOTENCY_SECONDS


@dataclass(frozen=True, slots=True)
class _Entry:
    request_digest: str
    until: float
    response: bytes | None = None


class MemoryIdempotency:
    """`core.ports.Idempotency`. `clock` gives seconds since the epoch."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._entries: dict[tuple[str, str], _Entry] = {}

    async def begin(self, tenant_id: str, key: str, request_digest: str, hold_seconds: float) -> bytes | None:
        now = self._clock()
        self._entries = {place: entry for place, entry in self._entries.items() if entry.until > now}
        entry = self._entries.get((tenant_id, key))
        if entry is None:
            self._entries[(tenant_id, key)] = _Entry(request_digest, now + hold_seconds)
            return None
        return replayed(key, request_digest, entry.request_digest, entry.response)

    async def finish(self, tenant_id: str, key: str, request_digest: str, response: bytes) -> None:
        entry = self._open_entry(tenant_id, key, request_digest)
        if entry:
            until = self._clock() + IDEMPOTENCY_SECONDS
            self._entries[(tenant_id, key)] = replace(entry, response=response, until=until)

    async def abandon(self, tenant_id: str, key: str, request_digest: str) -> None:
        if self._open_entry(tenant_id, key, request_digest):
            del self._entries[(tenant_id, key)]

    def _open_entry(self, tenant_id: str, key: str, request_digest: str) -> _Entry | None:
        entry = self._entries.get((tenant_id, key))
        mine = entry and entry.request_digest == request_digest and entry.response is None
        return entry if mine else None


def replayed(key: str, request_digest: str, known_digest: str, response: bytes | None) -> bytes:
    """The kept answer of a key that is taken. Raises `IdempotencyConflict` and `RequestUnderWay`."""
    if request_digest != known_digest:
        raise IdempotencyConflict(key=key)
    if response is None:
        raise RequestUnderWay(key=key, retry_after=1)
    return response


class MemoryRates:
    """`core.ports.Rates`."""

    def __init__(self) -> None:
        self._times: dict[str, int] = {}

    async def take(self, key: str, now_ns: int, step_ns: int, burst_ns: int) -> int:
        moved = max(self._times.get(key, 0), now_ns) + step_ns
        if moved <= now_ns + burst_ns:
            self._times[key] = moved
        return moved - now_ns
