"""Budgets refuse wrong values, end an execution in time, and are divided among siblings."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.core.budget import (
    RESERVE_SHARE,
    Budgets,
    Spend,
    child_budgets,
    exhausted,
    of_completion,
    working_seconds,
)
from rlm_rs.core.errors import ValidationFailed
from rlm_rs.core.model import Usage

COUNT = st.integers(0, 10_000)
SPENDS = st.builds(
    Spend,
    **{f.name: COUNT for f in fields(Spend) if f.type == "int"},
    cost_usd=st.none() | st.floats(0, 100),
    seconds=st.floats(0, 1000),
)


def test_fields_can_be_replaced() -> None:
    changed = Budgets().merged({"max_turns": 3, "max_total_seconds": 1.5, "max_cost_usd": 0.5})
    assert (changed.max_turns, changed.max_total_seconds, changed.max_cost_usd) == (3, 1.5, 0.5)
    assert changed.merged({"max_cost_usd": None}).max_cost_usd is None
    assert Budgets().merged({}) == Budgets()


@pytest.mark.parametrize("name", [f.name for f in fields(Budgets)])
@pytest.mark.parametrize("value", [-1, "7", True, float("nan"), float("inf"), -0.5, 10**20, [1], {}])
def test_no_field_takes_a_value_that_makes_no_sense(name: str, value: Any) -> None:
    with pytest.raises(ValidationFailed, match=name):
        Budgets().merged({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_turns", 2.5),
        ("max_turns", 0),
        ("max_turns", None),
        ("max_total_seconds", 0),
        ("max_cost_usd", 0),
        ("max_depth", 60),
        ("max_step_seconds", 10**6),
        ("max_step_memory_mb", 10**7),
    ],
)
def test_whole_numbers_are_whole_and_bounds_above_nothing(name: str, value: Any) -> None:
    with pytest.raises(ValidationFailed, match=name):
        Budgets().merged({name: value})


@pytest.mark.parametrize("name", ["max_depth", "max_llm_subcalls", "max_tool_requests_per_step"])
def test_what_can_be_switched_off_may_be_none_at_all(name: str) -> None:
    assert getattr(Budgets().merged({name: 0}), name) == 0


def test_an_unknown_budget_is_named_with_those_there_are() -> None:
    with pytest.raises(ValidationFailed, match=r"'max_turn'.*max_turns"):
        Budgets().merged({"max_turn": 3})


@pytest.mark.parametrize(
    ("spend", "errors", "name", "status"),
    [
        (Spend(turns=20), 0, "max_turns", "MAX_TURNS_EXCEEDED"),
        (Spend(seconds=162.0), 0, "max_total_seconds", "TIMEOUT"),
        (Spend(input_tokens=500, output_tokens=400), 0, "max_total_tokens", "BUDGET_EXCEEDED"),
        (Spend(cost_usd=0.9), 0, "max_cost_usd", "BUDGET_EXCEEDED"),
        (Spend(), 5, "max_consecutive_errors", "BUDGET_EXCEEDED"),
    ],
)
def test_a_used_up_budget_ends_with_its_status(spend: Spend, errors: int, name: str, status: str) -> None:
    budgets = Budgets(max_total_tokens=1000, max_cost_usd=1.0)
    out = exhausted(budgets, spend, errors)
    assert out is not None
    assert (out.budget, out.status) == (name, status)
    assert str(getattr(budgets, name)).removesuffix(".0") in str(out)


def test_what_is_not_used_up_goes_on() -> None:
    nearly = Spend(turns=19, seconds=161.9, input_tokens=899, cost_usd=0.89)
    assert exhausted(Budgets(max_total_tokens=1000, max_cost_usd=1.0), nearly, 4) is None
    assert exhausted(Budgets(), Spend(input_tokens=10**9, cost_usd=None)) is None


@given(st.floats(0.01, 1e6))
def test_the_reserve_of_time_is_a_tenth_and_at_most_half_a_minute(total: float) -> None:
    reserve = total - working_seconds(Budgets(max_total_seconds=total))
    assert 0 < reserve <= min(30.0, total * RESERVE_SHARE) * 1.001


@given(SPENDS, SPENDS, SPENDS)
def test_spends_add_up_in_any_grouping(a: Spend, b: Spend, c: Spend) -> None:
    left, right = a.plus(b).plus(c), a.plus(b.plus(c))
    assert replace(left, cost_usd=None) == replace(right, cost_usd=None)
    assert left.cost_usd == pytest.approx(right.cost_usd)
    assert left.seconds == a.seconds
    assert left.tokens == a.tokens + b.tokens + c.tokens


@given(SPENDS)
def test_nothing_added_changes_nothing(spend: Spend) -> None:
    assert spend.plus(Spend()) == spend


def test_an_unknown_price_makes_the_sum_unknown() -> None:
    assert Spend(cost_usd=1.0).plus(Spend(cost_usd=None)).cost_usd is None
    assert Spend(cost_usd=None).plus(Spend(cost_usd=0.0)).cost_usd is None


def test_a_completion_without_usage_spends_no_known_tokens() -> None:
    assert of_completion(None, None) == Spend(cost_usd=None)
    assert of_completion(Usage(10, 5, 3, 2), 0.5).tokens == 15


@given(
    spend=SPENDS,
    siblings=st.integers(1, 60),
    subcalls=st.integers(0, 100),
    tokens=st.none() | st.integers(1, 10**6),
    money=st.none() | st.floats(0.001, 100),
)
def test_siblings_never_jointly_exceed_what_is_left(
    spend: Spend, siblings: int, subcalls: int, tokens: int | None, money: float | None
) -> None:
    parent = Budgets(max_llm_subcalls=subcalls, max_total_tokens=tokens, max_cost_usd=money)
    share = child_budgets(parent, spend, siblings)
    calls_left = max(0, subcalls - spend.llm_subcalls)
    if calls_left >= siblings:
        assert siblings * (share.max_llm_subcalls + 1) <= calls_left
    else:
        assert share.max_llm_subcalls == 0
    if tokens is not None:
        assert share.max_total_tokens is not None
        assert siblings * share.max_total_tokens <= max(siblings, tokens - spend.tokens)
    if money is not None:
        assert share.max_cost_usd is not None
        assert siblings * share.max_cost_usd <= max(1e-6, money - (spend.cost_usd or 0.0)) * 1.0001
    assert share.max_depth == parent.max_depth - 1
    assert share.max_total_seconds <= max(0.1, parent.max_total_seconds - spend.seconds)


def test_a_step_gets_what_is_left_of_time_and_spans() -> None:
    limits = Budgets().step_limits(Spend(seconds=170.0, spans=1_900))
    assert (limits.seconds, limits.max_spans) == (10.0, 100)
    assert Budgets().step_limits(Spend(seconds=500.0, spans=9_000)).seconds == 0.1
    assert Budgets().step_limits(Spend(seconds=500.0, spans=9_000)).max_spans == 0
