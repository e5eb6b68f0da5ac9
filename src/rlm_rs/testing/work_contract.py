"""What every adapter of `core.ports.Work` must do. Its tests are a subclass that says how to open one.

class TestMemoryWork(WorkContract):
    @pytest.fixture
    def work(self, clock):
        return MemoryWork(clock)
"""

from __future__ import annotations

import asyncio

import pytest

from rlm_rs.core.ports import Work
from rlm_rs.core.records import WorkItem, WorkKind
from rlm_rs.testing.clocks import StoppedClock

EXECUTION, INGESTION = WorkKind.EXECUTION, WorkKind.INGESTION
CLAIMERS = 20


async def claimed(work: Work, owner: str = "w", seconds: float = 30) -> WorkItem:
    """The next execution; the test fails if there is none."""
    item = await work.claim(EXECUTION, owner, seconds)
    assert item is not None
    return item


class WorkContract:
    """The promises of `core.ports.Work`. Subclasses provide `work`, empty, which goes by `clock`."""

    @pytest.fixture
    def clock(self) -> StoppedClock:
        return StoppedClock()

    @pytest.fixture
    def work(self, clock: StoppedClock) -> Work:
        raise NotImplementedError("a subclass provides the work")

    async def test_what_was_added_is_claimed_once(self, work: Work) -> None:
        await work.add(EXECUTION, "a", "e")
        assert await work.claim(EXECUTION, "one", 30) == WorkItem(EXECUTION, "a", "e", attempts=1)
        assert await work.claim(EXECUTION, "two", 30) is None
        assert await work.claim(EXECUTION, "one", 30) is None

    async def test_kinds_do_not_mix(self, work: Work) -> None:
        await work.add(INGESTION, "a", "s")
        assert await work.claim(EXECUTION, "w", 30) is None
        assert await work.waiting(EXECUTION) == 0
        assert await work.claim(INGESTION, "w", 30) == WorkItem(INGESTION, "a", "s")

    async def test_the_oldest_of_a_tenant_comes_first(self, work: Work) -> None:
        names = [f"e{n}" for n in (7, 3, 9, 1)]
        for name in names:
            await work.add(EXECUTION, "a", name)
        assert [(await claimed(work)).item_id for _ in names] == names

    async def test_adding_again_changes_nothing(self, work: Work) -> None:
        for item_id in ("e1", "e2", "e1"):
            await work.add(EXECUTION, "a", item_id)
        assert await work.waiting(EXECUTION) == 2
        first = await claimed(work)
        await work.add(EXECUTION, "a", first.item_id)
        assert first.item_id == "e1"
        assert (await claimed(work)).item_id == "e2"
        assert await work.claim(EXECUTION, "w", 30) is None

    async def test_the_same_id_of_two_tenants_is_two_items(self, work: Work) -> None:
        await work.add(EXECUTION, "a", "e")
        await work.add(EXECUTION, "b", "e")
        assert {(await claimed(work)).tenant_id for _ in range(2)} == {"a", "b"}

    async def test_a_lease_that_ran_out_is_claimable_and_counted(
        self, work: Work, clock: StoppedClock
    ) -> None:
        await work.add(EXECUTION, "a", "e")
        await claimed(work, "one", 30)
        clock.advance(29.9)
        assert await work.claim(EXECUTION, "two", 30) is None
        clock.advance(0.1)
        assert (await claimed(work, "two")).attempts == 2

    async def test_a_renewed_lease_holds(self, work: Work, clock: StoppedClock) -> None:
        await work.add(EXECUTION, "a", "e")
        item = await claimed(work, "one", 30)
        for _ in range(5):
            clock.advance(20)
            assert await work.renew(item, "one", 30) == item
            assert await work.claim(EXECUTION, "two", 30) is None

    async def test_renewing_a_lost_lease_gives_none(self, work: Work, clock: StoppedClock) -> None:
        await work.add(EXECUTION, "a", "e")
        item = await claimed(work, "one", 30)
        clock.advance(30)
        assert await work.renew(item, "one", 30) is None
        taken = await claimed(work, "two")
        assert await work.renew(item, "one", 30) is None
        assert await work.renew(taken, "two", 30) == taken

    async def test_who_lost_the_lease_cannot_finish_or_give_back(
        self, work: Work, clock: StoppedClock
    ) -> None:
        await work.add(EXECUTION, "a", "e")
        item = await claimed(work, "one", 30)
        clock.advance(30)
        taken = await claimed(work, "two")
        await work.done(item, "one")
        await work.release(item, "one")
        assert await work.claim(EXECUTION, "three", 30) is None
        assert await work.renew(taken, "two", 30) == taken

    async def test_what_is_done_is_gone_and_may_be_added_again(self, work: Work) -> None:
        await work.add(EXECUTION, "a", "e")
        item = await claimed(work)
        await work.done(item, "w")
        assert await work.claim(EXECUTION, "w", 30) is None
        assert await work.renew(item, "w", 30) is None
        await work.add(EXECUTION, "a", "e")
        assert (await claimed(work)).attempts == 1

    async def test_an_item_says_which_request_asked_for_it(self, work: Work, clock: StoppedClock) -> None:
        await work.add(EXECUTION, "a", "e", "req_1")
        await work.add(EXECUTION, "a", "e", "req_2")
        item = await claimed(work, "one")
        assert item.request_id == "req_1"
        assert await work.renew(item, "one", 30) == item
        clock.advance(60)
        again = await work.claim_item(EXECUTION, "a", "e", "two", 30)
        assert again == WorkItem(EXECUTION, "a", "e", attempts=2, request_id="req_1")

    async def test_what_is_given_back_is_claimable_at_once(self, work: Work) -> None:
        await work.add(EXECUTION, "a", "e")
        await work.release(await claimed(work, "one"), "one")
        assert await work.waiting(EXECUTION) == 1
        assert (await claimed(work, "two")).attempts == 2

    async def test_a_claim_given_back_uncounted_is_no_attempt(self, work: Work) -> None:
        await work.add(EXECUTION, "a", "e")
        await work.release(await claimed(work, "one"), "one", counted=False)
        assert (await claimed(work, "two")).attempts == 1

    async def test_one_item_can_be_claimed_by_name(self, work: Work) -> None:
        await work.add(EXECUTION, "a", "e1")
        await work.add(EXECUTION, "a", "e2")
        wanted = await work.claim_item(EXECUTION, "a", "e2", "one", 30)
        assert wanted == WorkItem(EXECUTION, "a", "e2", attempts=1)
        assert await work.claim_item(EXECUTION, "a", "e2", "two", 30) is None
        assert await work.claim_item(EXECUTION, "b", "e1", "two", 30) is None
        assert await work.claim_item(INGESTION, "a", "e1", "two", 30) is None
        assert (await claimed(work, "two")).item_id == "e1"

    async def test_a_wish_to_cancel_is_seen_when_renewing(self, work: Work) -> None:
        await work.add(EXECUTION, "a", "e")
        item = await claimed(work)
        assert await work.request_cancel(EXECUTION, "a", "e")
        assert await work.request_cancel(EXECUTION, "a", "e")
        renewed = await work.renew(item, "w", 30)
        assert renewed is not None
        assert renewed.cancel_requested

    async def test_a_wish_to_cancel_is_seen_by_who_claims_later(self, work: Work) -> None:
        await work.add(EXECUTION, "a", "e")
        assert await work.request_cancel(EXECUTION, "a", "e")
        item = await claimed(work)
        assert item.cancel_requested
        await work.release(item, "w")
        assert (await claimed(work)).cancel_requested

    async def test_what_is_not_here_cannot_be_cancelled(self, work: Work) -> None:
        await work.add(EXECUTION, "a", "e")
        assert not await work.request_cancel(EXECUTION, "b", "e")
        assert not await work.request_cancel(INGESTION, "a", "e")
        await work.done(await claimed(work), "w")
        assert not await work.request_cancel(EXECUTION, "a", "e")

    async def test_waiting_counts_what_nobody_holds(self, work: Work, clock: StoppedClock) -> None:
        for number in range(3):
            await work.add(EXECUTION, "a", str(number))
        await claimed(work, seconds=30)
        assert await work.waiting(EXECUTION) == 2
        clock.advance(30)
        assert await work.waiting(EXECUTION) == 3

    async def test_claimers_at_once_never_hold_the_same_item(self, work: Work) -> None:
        for number in range(CLAIMERS + 10):
            await work.add(EXECUTION, f"t{number % 3}", str(number))
        found = await asyncio.gather(*(work.claim(EXECUTION, f"w{n}", 30) for n in range(CLAIMERS)))
        taken = {item.item_id for item in found if item}
        assert len(taken) == CLAIMERS
        assert await work.waiting(EXECUTION) == 10

    async def test_of_claimers_of_one_item_one_gets_it(self, work: Work) -> None:
        await work.add(EXECUTION, "a", "e")
        found = await asyncio.gather(*(work.claim(EXECUTION, f"w{n}", 30) for n in range(CLAIMERS)))
        assert len([item for item in found if item]) == 1

    async def test_a_long_queue_of_one_tenant_does_not_delay_another(self, work: Work) -> None:
        for number in range(1000):
            await work.add(EXECUTION, "busy", str(number))
        await claimed(work)
        await work.add(EXECUTION, "quiet", "first")
        assert (await claimed(work)).tenant_id == "quiet"
        assert (await claimed(work)).tenant_id == "busy"

    async def test_tenants_passed_over_get_nothing_from_a_claim(self, work: Work) -> None:
        for tenant in ("a", "b"):
            await work.add(EXECUTION, tenant, "first")
        assert await work.claim(EXECUTION, "w", 30, ("a", "b", "c")) is None
        item = await work.claim(EXECUTION, "w", 30, ("a",))
        assert item == WorkItem(EXECUTION, "b", "first", attempts=1)
        assert await work.claim(EXECUTION, "w", 30, ("a",)) is None
        assert (await claimed(work)).tenant_id == "a"

    async def test_tenants_with_work_share_the_claims(self, work: Work) -> None:
        for tenant in ("a", "b", "c"):
            for number in range(10):
                await work.add(EXECUTION, tenant, str(number))
        tenants = [(await claimed(work)).tenant_id for _ in range(12)]
        assert all(tenants.count(tenant) == 4 for tenant in ("a", "b", "c"))
        assert tenants[:3] == ["a", "b", "c"]

    async def test_a_lease_that_ran_out_does_not_count_against_its_tenant(
        self, work: Work, clock: StoppedClock
    ) -> None:
        for tenant in ("b", "a"):
            await work.add(EXECUTION, tenant, "first")
            await work.add(EXECUTION, tenant, "second")
        await claimed(work, "kept", 100)
        await claimed(work, "lost", 10)
        clock.advance(10)
        assert (await claimed(work)).tenant_id == "a"
