"""RATE_LIMITS_JSON is read as people write it, and refused in one line that names the place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.core.errors import SettingInvalid
from rlm_rs.core.limits import Limits, Rate, RateLimits, parse_rate_limits, rate_of


@pytest.mark.parametrize("text", [None, "", "{}"])
def test_without_limits_there_are_none(text: str | None) -> None:
    assert parse_rate_limits(text) == RateLimits()
    assert rate_of(parse_rate_limits(text).of("a")) is None


def test_plain_limits_hold_for_every_tenant() -> None:
    limits = parse_rate_limits('{"max_requests": 10, "window_seconds": 1.5, "max_concurrent_executions": 2}')
    assert limits.of("a") == limits.of("b") == Limits(10, 1.5, 2)


def test_a_tenants_fields_stand_before_those_of_default() -> None:
    limits = parse_rate_limits(
        '{"default": {"max_requests": 10, "window_seconds": 60, "max_concurrent_executions": 2},'
        ' "tenants": {"big": {"max_requests": 1000}, "free": {"max_concurrent_executions": null}}}'
    )
    assert limits.of("other") == Limits(10, 60, 2)
    assert limits.of("big") == Limits(1000, 60, 2)
    assert limits.of("free") == Limits(10, 60, None)


def test_tenants_alone_leave_the_others_without_limits() -> None:
    limits = parse_rate_limits('{"tenants": {"a": {"max_concurrent_executions": 1}}}')
    assert limits.of("a") == Limits(max_concurrent_executions=1)
    assert limits.of("b") == Limits()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{", "not JSON"),
        ("[]", "it must be a JSON object"),
        ("3", "it must be a JSON object"),
        ('{"default": 3}', "default must be a JSON object"),
        ('{"tenants": []}', "tenants must be a JSON object"),
        ('{"tenants": {"a": 1}}', "tenants.a must be a JSON object"),
        ('{"default": {}, "max_requests": 1}', "max_requests does not go with"),
        ('{"max_request": 1}', "max_request is not one of"),
        ('{"max_requests": 1}', "go together"),
        ('{"window_seconds": 1}', "go together"),
        ('{"max_requests": 0, "window_seconds": 1}', "max_requests must be a whole number"),
        ('{"max_requests": 1.5, "window_seconds": 1}', "max_requests must be a whole number"),
        ('{"max_requests": true, "window_seconds": 1}', "max_requests must be a whole number"),
        ('{"max_requests": "1", "window_seconds": 1}', "max_requests must be a whole number"),
        ('{"max_requests": 1, "window_seconds": 0}', "window_seconds must be a number above 0"),
        ('{"max_requests": 1, "window_seconds": NaN}', "window_seconds must be a number above 0"),
        ('{"max_requests": 1, "window_seconds": 1e400}', "window_seconds must be a number above 0"),
        ('{"tenants": {"a": {"max_concurrent_executions": -1}}}', "tenants.a.max_concurrent_executions"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_place(text: str, place: str) -> None:
    with pytest.raises(SettingInvalid, match=r"^RATE_LIMITS_JSON is .*$") as refused:
        parse_rate_limits(text)
    assert place in refused.value.message
    assert "\n" not in refused.value.message


@given(st.integers(1, 10**6), st.floats(0.01, 10**6))
def test_the_allowed_number_goes_through_at_once_and_one_more_does_not(requests: int, seconds: float) -> None:
    rate = Rate(requests, seconds)
    assert rate.allows(requests * rate.step_ns)
    if rate.burst_ns >= requests**2:
        # below that a step is so few nanoseconds that rounding it down lets some more through
        assert not rate.allows((requests + 1) * rate.step_ns)


@given(st.integers(1, 10**6), st.floats(0.01, 10**6), st.integers(1, 10**12))
def test_after_the_time_to_wait_a_refused_request_goes_through(
    requests: int, seconds: float, too_far_ns: int
) -> None:
    rate = Rate(requests, seconds)
    ahead = rate.burst_ns + too_far_ns
    waited = rate.retry_after(ahead)
    assert waited >= 1
    assert rate.allows(ahead - waited * 10**9)
    assert waited == 1 or not rate.allows(ahead - (waited - 1) * 10**9)
