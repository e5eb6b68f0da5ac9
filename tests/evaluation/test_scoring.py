"""Scores against reference answers."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.evaluation.scoring import (
    SCORERS,
    contains,
    exact_match,
    f1,
    number_in,
    numeric,
    numeric_closeness,
    reference_scores,
)


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("The Lease.", "lease", 1),
        ("six  MONTHS [1]", "Six months", 1),
        ("six months [1, 2]", "six months", 1),
        ("ﬁve days", "five days", 1),
        ("STRASSE", "straße", 1),
        ("six months", "months six", 0),
        ("six months' notice", "six months", 0),
        ("", "six", 0),
    ],
)
def test_exact_match_ignores_case_punctuation_articles_and_marks(
    answer: str, reference: str, score: float
) -> None:
    assert exact_match(answer, [reference]) == score


def test_contains_wants_whole_words_together() -> None:
    assert contains("It ends on 3 May 2024, they say.", ["3 May 2024"]) == 1
    assert contains("It ends on 13 May 2024.", ["3 May 2024"]) == 0
    assert contains("anything", [""]) == 0


def test_f1_counts_each_word_as_often_as_it_occurs() -> None:
    assert f1("red red blue", ["red blue green"]) == pytest.approx(2 * 2 / 6)
    assert f1("red", ["green", "red"]) == 1
    assert f1("", [""]) == 1
    assert f1("red", [""]) == 0
    assert f1("red", []) == 0


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("There are 12.", "12"),
        ("12 agreements, of which 3", "3"),
        ("1,234,567.5 EUR", "1234567.5"),
        ("1 234 567", "1234567"),
        ("1'234", "1234"),
        ("−4 °C", "-4"),
        ("$3.50", "3.5"),
        ("7% [12]", "7"),
        ("1.5e3", "1500"),
        ("v2.3.4 and B52", None),
        ("none", None),
    ],
)
def test_the_number_of_an_answer_is_the_last_one_in_it(text: str, number: str | None) -> None:
    assert number_in(text) == (None if number is None else Decimal(number))


def test_numeric_allows_a_share_of_the_reference() -> None:
    assert numeric("about 100.4", ["100"], tolerance=0.005) == 1
    assert numeric("about 100.6", ["100"], tolerance=0.005) == 0
    assert numeric("0", ["0"]) == 1
    assert numeric("no idea", ["0"]) == 0
    assert numeric("3", ["many"]) == 0


def test_closeness_falls_by_a_quarter_for_each_one_off() -> None:
    assert numeric_closeness("It is 10", ["12"]) == pytest.approx(0.75**2)
    assert numeric_closeness("It is 12", ["12"]) == 1
    assert numeric_closeness("9" * 400, ["1"]) == pytest.approx(0, abs=1e-9)


@given(st.text(), st.lists(st.text(), max_size=3))
def test_every_score_is_between_0_and_1(answer: str, references: list[str]) -> None:
    for score in SCORERS.values():
        assert 0 <= score(answer, references) <= 1


@given(st.text().filter(lambda text: text.strip()))
def test_a_reference_itself_is_a_perfect_answer(text: str) -> None:
    assert exact_match(text, [text]) == 1
    assert f1(text, [text]) == 1


def test_numeric_scores_are_recorded_only_for_numeric_references() -> None:
    assert set(reference_scores("yes", ["yes"])) == {"exact_match", "contains", "f1"}
    assert reference_scores("It is 12", ["12"])["numeric"] == 1


def test_a_number_without_end_is_no_answer() -> None:
    assert number_in("9" * 1_100_000) is None
    assert numeric("9" * 1_100_000, ["5"]) == numeric_closeness("9" * 1_100_000, ["5"]) == 0
