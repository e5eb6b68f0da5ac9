"""What every adapter of `core.ports.Idempotency` and `core.ports.Rates` must do."""

from __future__ import annotations

import asyncio

import pytest

from rlm_rs.core.errors import IdempotencyConflict, RequestUnderWay
from rlm_rs.core.ports import IDEMPOTENCY_SECONDS, Idempotency, Rates
from rlm_rs.testing.clocks import StoppedClock

RACERS = 20
SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


class IdempotencyContract:
    """The promises of `core.ports.Idempotency`. Subclasses provide `idempotency`, which goes by `clock`."""

    @pytest.fixture
    def clock(self) -> StoppedClock:
        return StoppedClock()

    @pytest.fixture
    def idempotency(self, clock: StoppedClock) -> Idempotency:
        raise NotImplementedError("a subclass provides the store")

    async def test_a_finished_request_is_answered_as_before(self, idempotency: Idempotency) -> None:
        assert await idempotency.begin("a", "k", "digest", 60) is None
        await idempotency.finish("a", "k", "digest", b'{"id": "\xc3\xbc"}')
        assert await idempotency.begin("a", "k", "digest", 60) == b'{"id": "\xc3\xbc"}'

    async def test_an_empty_answer_is_an_answer(self, idempotency: Idempotency) -> None:
        assert await idempotency.begin("a", "k", "digest", 60) is None
        await idempotency.finish("a", "k", "digest", b"")
        assert await idempotency.begin("a", "k", "digest", 60) == b""

    async def test_of_requests_at_once_one_goes_on(self, idempotency: Idempotency) -> None:
        outcomes = await asyncio.gather(
            *(idempotency.begin("a", "k", "digest", 60) for _ in range(RACERS)), return_exceptions=True
        )
        assert [outcome for outcome in outcomes if outcome is None] == [None]
        assert sum(isinstance(outcome, RequestUnderWay) for outcome in outcomes) == RACERS - 1

    @pytest.mark.parametrize("finished", [False, True])
    async def test_another_request_under_the_same_key_is_refused(
        self, idempotency: Idempotency, finished: bool
    ) -> None:
        await idempotency.begin("a", "k", "digest", 60)
        if finished:
            await idempotency.finish("a", "k", "digest", b"made")
        with pytest.raises(IdempotencyConflict):
            await idempotency.begin("a", "k", "other", 60)

    async def test_tenants_and_keys_do_not_touch_each_other(self, idempotency: Idempotency) -> None:
        await idempotency.begin("a", "k", "digest", 60)
        await idempotency.finish("a", "k", "digest", b"made")
        assert await idempotency.begin("b", "k", "other", 60) is None
        assert await idempotency.begin("a", "k2", "other", 60) is None

    async def test_what_came_to_nothing_may_be_tried_again(self, idempotency: Idempotency) -> None:
        await idempotency.begin("a", "k", "digest", 60)
        await idempotency.abandon("a", "k", "digest")
        assert await idempotency.begin("a", "k", "other", 60) is None

    async def test_a_key_held_too_long_is_free_again(
        self, idempotency: Idempotency, clock: StoppedClock
    ) -> None:
        await idempotency.begin("a", "k", "digest", 60)
        clock.advance(59)
        with pytest.raises(RequestUnderWay):
            await idempotency.begin("a", "k", "digest", 60)
        clock.advance(1)
        assert await idempotency.begin("a", "k", "digest", 60) is None

    async def test_an_answer_is_kept_for_a_day(self, idempotency: Idempotency, clock: StoppedClock) -> None:
        await idempotency.begin("a", "k", "digest", 60)
        await idempotency.finish("a", "k", "digest", b"made")
        clock.advance(IDEMPOTENCY_SECONDS - 1)
        assert await idempotency.begin("a", "k", "digest", 60) == b"made"
        clock.advance(1)
        assert await idempotency.begin("a", "k", "other", 60) is None

    async def test_the_first_answer_stays(self, idempotency: Idempotency) -> None:
        await idempotency.begin("a", "k", "digest", 60)
        await idempotency.finish("a", "k", "digest", b"first")
        await idempotency.finish("a", "k", "digest", b"second")
        await idempotency.abandon("a", "k", "digest")
        assert await idempotency.begin("a", "k", "digest", 60) == b"first"


class RatesContract:
    """The promises of `core.ports.Rates`. Subclasses provide the `rates` fixture, empty."""

    @pytest.fixture
    def rates(self) -> Rates:
        raise NotImplementedError("a subclass provides the rates")

    async def test_each_request_leads_a_step_further(self, rates: Rates) -> None:
        taken = [await rates.take("a", NOW, SECOND, 3 * SECOND) for _ in range(3)]
        assert taken == [SECOND, 2 * SECOND, 3 * SECOND]

    async def test_a_step_too_far_changes_nothing(self, rates: Rates) -> None:
        await rates.take("a", NOW, SECOND, SECOND)
        for _ in range(3):
            assert await rates.take("a", NOW, SECOND, SECOND) == 2 * SECOND
        assert await rates.take("a", NOW + SECOND, SECOND, SECOND) == SECOND

    async def test_time_that_passes_is_given_back_but_not_saved_up(self, rates: Rates) -> None:
        await rates.take("a", NOW, SECOND, 2 * SECOND)
        assert await rates.take("a", NOW + 100 * SECOND, SECOND, 2 * SECOND) == SECOND

    async def test_keys_do_not_touch_each_other(self, rates: Rates) -> None:
        await rates.take("a", NOW, SECOND, SECOND)
        assert await rates.take("b", NOW, SECOND, SECOND) == SECOND

    async def test_of_requests_at_once_no_more_than_the_burst_go_on(self, rates: Rates) -> None:
        taken = await asyncio.gather(
            *(rates.take("a", NOW, SECOND, 5 * SECOND) for _ in range(RACERS)), return_exceptions=True
        )
        assert sum(isinstance(ahead, int) and ahead <= 5 * SECOND for ahead in taken) == 5
