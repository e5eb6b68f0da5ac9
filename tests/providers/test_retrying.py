"""The retry loop and the reading of Retry-After."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.core.errors import ProviderFailed
from rlm_rs.core.model import ModelReply
from rlm_rs.providers.retrying import Failure, RetryPolicy, retry_after, with_retries
from rlm_rs.providers.wire_text import quoted, sendable

NOW = datetime(2026, 11, 6, 8, 49, 30, tzinfo=UTC)
QUICK = RetryPolicy(attempts=3, base_seconds=0.001)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Fri, 06 Nov 2026 08:49:37 +99999999999999999"}, None),
        ({"retry-after": "Fri, 06 Nov 2026 08:49:37 GMT"}, 7.0),
        ({"retry-after": "Fri, 06 Nov 2026 08:49:37 -0000"}, 7.0),
        ({"retry-after": "Fri, 06 Nov 2026 08:00:00 GMT"}, 0.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Fri, 99 Nov 2026 08:49:37 GMT"}, None),
    ],
)
def test_retry_after_is_read_in_each_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@given(st.text(max_size=40))
def test_no_retry_after_header_is_an_exception(text: str) -> None:
    wait = retry_after({"retry-after": text}, NOW)
    assert wait is None or 0 <= wait < timedelta(days=366 * 10_000).total_seconds()


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_is_jittered_doubling_and_capped(attempt: int, chance: float) -> None:
    policy = RetryPolicy(base_seconds=0.5, cap_seconds=8)
    full = policy.delay(attempt, None, 1.0)
    assert full == min(8, 0.5 * 2 ** min(attempt - 1, 10))
    assert 0 <= policy.delay(attempt, None, chance) <= full


async def test_a_failure_that_passes_is_not_seen() -> None:
    outcomes: list[ModelReply | Failure] = [
        Failure("server", "down", 500, retryable=True),
        ModelReply("fine", "m"),
    ]

    async def attempt(_: float) -> ModelReply | Failure:
        return outcomes.pop(0)

    assert (await with_retries(attempt, QUICK)).text == "fine"


async def test_details_of_the_last_failure_are_kept() -> None:
    async def attempt(_: float) -> Failure:
        return Failure("server", "down.", 503, retryable=True, extra={"request_id": "r"})

    with pytest.raises(ProviderFailed) as caught:
        await with_retries(attempt, QUICK)
    assert caught.value.message == "down. (3 attempts)"
    assert caught.value.details == {
        "kind": "server",
        "status": 503,
        "attempts": 3,
        "retryable": True,
        "request_id": "r",
    }


async def test_the_time_left_shrinks_with_each_attempt() -> None:
    left: list[float] = []

    async def attempt(seconds: float) -> Failure:
        left.append(seconds)
        return Failure("timeout", "slow", retryable=True, retry_after=0.02)

    with pytest.raises(ProviderFailed):
        await with_retries(attempt, RetryPolicy(attempts=3, base_seconds=0, total_seconds=10))
    assert left == sorted(left, reverse=True)
    assert left[0] - left[2] >= 0.04


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("two\nlines  here", "two lines here"),
        ("key abc-123-def!", "key [key]!"),
        ("key sk-proj-Ab12****9z", "key [key]"),
        ("Authorization: Bearer xyz123", "Authorization: [key]"),
        ("x" * 400, "x" * 299 + "…"),
    ],
)
def test_what_a_provider_said_is_quoted_safely(said: str, shown: str) -> None:
    assert quoted(said, ("abc-123-def", "")) == shown


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON_LIKE)
def test_whatever_is_made_sendable_is_utf8_and_json(value: object) -> None:
    json.dumps(sendable(value), ensure_ascii=False, allow_nan=False).encode()
