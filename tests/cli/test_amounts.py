"""Numbers as people read them."""

from __future__ import annotations

import pytest

from rlm_rs.cli.amounts import age, between, cost, count, seconds, spent
from rlm_rs.core.budget import Spend


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.04, "0.0 s"), (3.14, "3.1 s"), (42.4, "42 s"), (125, "2 min 5 s"), (7_300, "2 h 1 min")],
)
def test_seconds_are_rounded_to_what_matters(value: float, words: str) -> None:
    assert seconds(value) == words


@pytest.mark.parametrize(
    ("usd", "words"),
    [
        (None, "cost unknown"),
        (0.0, ""),
        (0.00001, "under $0.0001"),
        (0.0042, "$0.0042"),
        (0.123, "$0.12"),
        (1234.5, "$1,234.50"),
    ],
)
def test_an_unknown_cost_is_said_and_no_cost_is_not(usd: float | None, words: str) -> None:
    assert cost(usd) == words


@pytest.mark.parametrize(
    ("value", "words"), [(-3, "0 s"), (59, "59 s"), (61, "1 min"), (7_201, "2 h"), (200_000, "2 d")]
)
def test_age_has_one_unit(value: float, words: str) -> None:
    assert age(value) == words


def test_one_thing_is_singular() -> None:
    assert (count(1, "child execution"), count(1_200, "passage")) == ("1 child execution", "1,200 passages")


def test_what_was_spent_since_leaves_out_what_is_nothing() -> None:
    before = Spend(input_tokens=10, output_tokens=5, cost_usd=0.1, seconds=1.0)
    after = Spend(input_tokens=110, output_tokens=10, cost_usd=0.3, seconds=3.5)
    assert spent(between(before, after)) == "2.5 s, 105 tokens, $0.20"
    assert spent(Spend(seconds=2)) == "2.0 s"


def test_cost_since_an_unknown_cost_is_unknown() -> None:
    assert between(Spend(cost_usd=0.1), Spend(cost_usd=None)).cost_usd is None
