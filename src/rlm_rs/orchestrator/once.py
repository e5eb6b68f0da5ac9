"""Doing something once for all requests that carry the same Idempotency-Key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from rlm_rs.core.errors import RequestUnderWay
from rlm_rs.core.ports import Idempotency

HOLD_SECONDS = 60.0
WAIT_SECONDS = 10.0
POLL_SECONDS = 0.05


async def once(
    idempotency: Idempotency,
    tenant_id: str,
    key: str,
    request_digest: str,
    act: Callable[[], Awaitable[bytes]],
    wait_seconds: float = WAIT_SECONDS,
) -> tuple[bytes, bool]:
    """What `act` answers, and whether that is a replay of an earlier request's answer.

    A request that comes while another with its key is under way waits for that one's answer. If `act`
    raises, nothing is kept, and the next request acts anew. After a crash in the middle of `act` that is so
    after HOLD_SECONDS, which `act` must not exceed. Raises `IdempotencyConflict` if the key stands for
    another request, and `RequestUnderWay` after wait_seconds.
    """
    kept = await _begun(idempotency, tenant_id, key, request_digest, wait_seconds)
    if kept is not None:
        return kept, True
    try:
        response = await act()
    except BaseException:
        await idempotency.abandon(tenant_id, key, request_digest)
        raise
    await idempotency.finish(tenant_id, key, request_digest, response)
    return response, False


async def _begun(
    idempotency: Idempotency, tenant_id: str, key: str, request_digest: str, wait_seconds: float
) -> bytes | None:
    end = time.monotonic() + wait_seconds
    while True:
        try:
            return await idempotency.begin(tenant_id, key, request_digest, HOLD_SECONDS)
        except RequestUnderWay:
            if time.monotonic() >= end:
                raise
        await asyncio.sleep(POLL_SECONDS)
