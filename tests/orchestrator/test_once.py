"""Requests with one Idempotency-Key do one thing, whenever they come."""

from __future__ import annotations

import asyncio

import pytest

from rlm_rs.core.errors import IdempotencyConflict, RequestUnderWay
from rlm_rs.orchestrator.once import once
from rlm_rs.storage.memory_limits import MemoryIdempotency


class Maker:
    """Counts what it makes; the first `failures` times it fails."""

    def __init__(self, failures: int = 0) -> None:
        self.made = 0
        self.failures = failures

    async def __call__(self) -> bytes:
        await asyncio.sleep(0.01)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("no room")
        self.made += 1
        return f"thing {self.made}".encode()


async def test_requests_at_once_make_one_thing_and_have_the_same_answer() -> None:
    kept, maker = MemoryIdempotency(), Maker()
    answers = await asyncio.gather(*(once(kept, "a", "k", "digest", maker) for _ in range(10)))
    assert maker.made == 1
    assert {answer for answer, _ in answers} == {b"thing 1"}
    assert [replay for _, replay in answers].count(False) == 1


async def test_a_later_request_is_answered_as_the_first() -> None:
    kept, maker = MemoryIdempotency(), Maker()
    assert await once(kept, "a", "k", "digest", maker) == (b"thing 1", False)
    assert await once(kept, "a", "k", "digest", maker) == (b"thing 1", True)
    assert maker.made == 1


async def test_another_body_under_the_same_key_is_refused() -> None:
    kept, maker = MemoryIdempotency(), Maker()
    await once(kept, "a", "k", "digest", maker)
    with pytest.raises(IdempotencyConflict):
        await once(kept, "a", "k", "other", maker)
    assert maker.made == 1


async def test_tenants_may_use_the_same_key() -> None:
    kept, maker = MemoryIdempotency(), Maker()
    assert await once(kept, "a", "k", "digest", maker) == (b"thing 1", False)
    assert await once(kept, "b", "k", "other", maker) == (b"thing 2", False)


async def test_after_a_failure_the_next_one_acts() -> None:
    kept, maker = MemoryIdempotency(), Maker(failures=1)
    with pytest.raises(ConnectionError):
        await once(kept, "a", "k", "digest", maker)
    assert await once(kept, "a", "k", "digest", maker) == (b"thing 1", False)


async def test_one_that_waits_acts_when_the_first_failed() -> None:
    kept, maker = MemoryIdempotency(), Maker(failures=1)
    outcomes = await asyncio.gather(
        *(once(kept, "a", "k", "digest", maker) for _ in range(3)), return_exceptions=True
    )
    assert sum(isinstance(outcome, ConnectionError) for outcome in outcomes) == 1
    assert maker.made == 1


async def test_a_cancelled_request_leaves_the_key_free() -> None:
    kept, maker = MemoryIdempotency(), Maker()
    first = asyncio.create_task(once(kept, "a", "k", "digest", maker))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert await once(kept, "a", "k", "digest", maker) == (b"thing 1", False)


async def test_waiting_for_another_request_ends() -> None:
    kept, maker = MemoryIdempotency(), Maker()
    await kept.begin("a", "k", "digest", 60)
    with pytest.raises(RequestUnderWay):
        await once(kept, "a", "k", "digest", maker, wait_seconds=0.1)
    assert maker.made == 0
