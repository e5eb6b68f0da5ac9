"""A tenant that asks too much is told when to come back, and nobody else notices."""

from __future__ import annotations

import asyncio

import pytest

from rlm_rs.core.errors import RateLimited
from rlm_rs.core.limits import parse_rate_limits
from rlm_rs.core.records import ExecutionStatus
from rlm_rs.orchestrator.limiter import Limiter
from rlm_rs.storage.memory import MemoryCatalog
from rlm_rs.storage.memory_limits import MemoryRates
from rlm_rs.testing.catalog_contract import MINE, THEIRS, execution
from rlm_rs.testing.clocks import StoppedClock


class Gate:
    """A limiter with its own clock and catalog."""

    def __init__(self, limits: str) -> None:
        self.clock = StoppedClock()
        self.catalog = MemoryCatalog()
        self.limiter = Limiter(
            parse_rate_limits(limits), MemoryRates(), self.catalog, lambda: int(self.clock() * 10**9)
        )

    async def let_through(self, tenant: str, requests: int) -> int:
        """How many of so many requests at this moment are let through."""
        outcomes = [await self.refusal(tenant) for _ in range(requests)]
        return outcomes.count(None)

    async def refusal(self, tenant: str) -> RateLimited | None:
        try:
            await self.limiter.check_request(tenant)
        except RateLimited as refused:
            return refused
        return None


async def test_so_many_requests_go_through_at_once() -> None:
    gate = Gate('{"max_requests": 5, "window_seconds": 10}')
    assert await gate.let_through("a", 20) == 5


async def test_a_tenant_that_waits_as_told_is_let_through() -> None:
    gate = Gate('{"max_requests": 3, "window_seconds": 60}')
    await gate.let_through("a", 3)
    refused = await gate.refusal("a")
    assert refused is not None
    assert refused.details == {
        "allowed": False,
        "limit": 3,
        "remaining": 0,
        "reset_seconds": 20,
        "retry_after": 20,
        "window_seconds": 60,
    }
    gate.clock.advance(19)
    assert await gate.refusal("a")
    gate.clock.advance(1)
    assert await gate.let_through("a", 5) == 1


async def test_requests_that_are_refused_do_not_count() -> None:
    gate = Gate('{"max_requests": 2, "window_seconds": 2}')
    await gate.let_through("a", 100)
    gate.clock.advance(2)
    assert await gate.let_through("a", 100) == 2


async def test_an_even_stream_at_the_rate_is_never_refused() -> None:
    gate = Gate('{"max_requests": 10, "window_seconds": 5}')
    for _ in range(200):
        assert await gate.refusal("a") is None
        gate.clock.advance(0.5)


async def test_tenants_do_not_use_up_each_others_rate() -> None:
    gate = Gate(
        '{"default": {"max_requests": 1, "window_seconds": 9}, "tenants": {"b": {"max_requests": 4}}}'
    )
    assert await gate.let_through("a", 10) == 1
    assert await gate.let_through("b", 10) == 4
    assert await gate.let_through("c", 10) == 1


async def test_without_limits_everything_goes_through() -> None:
    gate = Gate("{}")
    assert await gate.let_through("a", 1000) == 1000
    async with gate.limiter.starting_execution("a"):
        pass


async def test_a_tenant_with_too_many_running_executions_starts_no_more() -> None:
    gate = Gate('{"max_concurrent_executions": 2}')
    for number, tenant in ((1, MINE), (2, MINE), (3, THEIRS)):
        async with gate.limiter.starting_execution(tenant):
            await gate.catalog.put_execution(execution(number, tenant))
    with pytest.raises(RateLimited, match="2 executions are running") as refused:
        async with gate.limiter.starting_execution(MINE):
            pytest.fail("a third was started")
    assert refused.value.details["retry_after"] == refused.value.details["reset_seconds"] >= 1
    assert (refused.value.details["allowed"], refused.value.details["remaining"]) == (False, 0)
    await gate.catalog.put_execution(execution(1, status=ExecutionStatus.COMPLETED))
    async with gate.limiter.starting_execution(MINE):
        pass


async def test_executions_started_at_once_are_no_more_than_may_run() -> None:
    gate = Gate('{"max_concurrent_executions": 3}')

    async def start(number: int) -> None:
        async with gate.limiter.starting_execution(MINE):
            await asyncio.sleep(0)
            await gate.catalog.put_execution(execution(number))

    outcomes = await asyncio.gather(*(start(number) for number in range(10)), return_exceptions=True)
    assert sum(isinstance(outcome, RateLimited) for outcome in outcomes) == 7
    assert await gate.catalog.count_executions(MINE, ExecutionStatus.RUNNING) == 3
