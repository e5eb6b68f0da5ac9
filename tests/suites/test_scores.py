"""Scores of lists and of citations, percentiles, groups."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.suites.item_scores import Stretch, citation_score, items_of, set_f1
from rlm_rs.suites.metrics import score
from rlm_rs.suites.results import Outcome, Result
from rlm_rs.suites.summary import figures, grouped, length_class, percentile


@pytest.mark.parametrize(
    "answer",
    [
        "load_frame, read_record",
        "The functions are: load_frame and read_record.",
        "`read_record` and `load_frame` call it [1][2]",
        "- load_frame\n- read_record\n",
        "LOAD_FRAME; read_record",
        "1. load_frame\n2. read_record",
    ],
)
def test_a_list_is_read_however_it_is_written(answer: str) -> None:
    assert items_of(answer) == {"load_frame", "read_record"}
    assert set_f1(answer, ("read_record", "load_frame")) == 1


def test_what_is_missing_and_what_is_too_much_both_cost() -> None:
    assert set_f1("a1, b1", ("a1", "b1", "c1", "d1")) == pytest.approx(2 / 3)
    assert set_f1("a1, b1, c1, d1", ("a1", "b1")) == pytest.approx(2 / 3)
    assert set_f1("x1", ("a1",)) == 0


def test_an_answer_that_is_a_list_is_scored_as_one() -> None:
    assert score("set_f1", "['a', 'b']", ["a", "b"], ("a", "b")) == 1


def test_no_answer_scores_nothing() -> None:
    assert score("contains", None, None, "x") == 0


def test_a_citation_counts_when_it_touches_a_reference_span() -> None:
    wanted = [Stretch("a.txt", 10, 20), Stretch("b.txt", 0, 5)]
    cited = [Stretch("a.txt", 19, 40), Stretch("a.txt", 20, 30), Stretch("c.txt", 0, 5)]
    found = citation_score(cited, wanted)
    assert (found.precision, found.recall) == (pytest.approx(1 / 3), 0.5)
    assert citation_score([], wanted).precision is None
    assert citation_score([], wanted).recall == 0
    assert citation_score(cited, []).recall is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 100))
def test_a_percentile_lies_between_the_extremes(values: list[float], share: float) -> None:
    assert min(values) - 1e-6 <= percentile(values, share) <= max(values) + 1e-6


def test_percentiles_are_interpolated() -> None:
    assert [percentile([1, 2, 3, 4], share) for share in (0, 25, 50, 100)] == [1, 1.75, 2.5, 4]


def test_lengths_of_about_the_same_size_are_one_class() -> None:
    assert {length_class(length) for length in (100_075, 100_290, 99_990)} == {100_000}
    assert [length_class(length) for length in (0, 3, 7, 1_400, 5_234)] == [1, 2, 5, 1_000, 5_000]


def result(score: float, cost: float | None = 0.01, skipped: str | None = None) -> Result:
    outcome = Outcome("e", "COMPLETED", "x", cost_usd=cost, seconds=1.0, skipped=skipped)
    return Result("c", "needle", 10, "direct", score, citation_score([], []), outcome)


def test_what_was_skipped_counts_nowhere() -> None:
    found = figures([result(1.0), result(0.5), result(0.0, skipped="CONTEXT_WINDOW_EXCEEDED")])
    assert (found.cases, found.skipped, found.score) == (2, 1, 0.75)
    assert figures([result(0.0, skipped="X")]).score is None


def test_one_unknown_price_makes_the_costs_unknown() -> None:
    assert figures([result(1.0), result(1.0, cost=None)]).costs is None
    assert figures([result(1.0, cost=0.01), result(1.0, cost=0.03)]).costs == pytest.approx(
        (0.015, 0.02, 0.025, 0.029)
    )


def test_groups_keep_the_order_they_appear_in() -> None:
    assert list(grouped([result(1.0), result(0.0)], lambda found: found.score)) == [1.0, 0.0]
