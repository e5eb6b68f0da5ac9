"""Results of a suite as figures: scores, cost, time and citations by variant, kind and length."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import TypeVar

from rlm_rs.suites.results import Result

K = TypeVar("K", bound=Hashable)

PERCENTILES = (25, 50, 75, 95)
NORMAL_95 = 1.96


@dataclass(frozen=True, slots=True)
class Figures:
    """A group of results. Skipped ones count in `skipped` and nowhere else.

    margin: half of the 95 % interval of the mean score by the normal approximation, 0 for a single case.
    costs: US dollars at `PERCENTILES`, None where a price is unknown. seconds, tokens: medians.
    precision, recall: means over the cases that have them.
    """

    cases: int
    skipped: int
    failed: int
    partial: int
    score: float | None
    margin: float
    costs: tuple[float, ...] | None
    seconds: float | None
    tokens: float | None
    precision: float | None
    recall: float | None


def figures(results: Iterable[Result]) -> Figures:
    """One group of results in figures."""
    every = list(results)
    counted = [result for result in every if result.outcome.skipped is None]
    outcomes = [result.outcome for result in counted]
    scores = [result.score for result in counted]
    prices = [outcome.cost_usd for outcome in outcomes]
    known = [price for price in prices if price is not None]
    return Figures(
        cases=len(counted),
        skipped=len(every) - len(counted),
        failed=sum(outcome.answer is None for outcome in outcomes),
        partial=sum(outcome.partial for outcome in outcomes),
        score=_mean(scores),
        margin=NORMAL_95 * stdev(scores) / sqrt(len(scores)) if len(scores) > 1 else 0.0,
        costs=tuple(percentile(known, share) for share in PERCENTILES)
        if known and len(known) == len(prices)
        else None,
        seconds=percentile([outcome.seconds for outcome in outcomes], 50) if outcomes else None,
        tokens=percentile([outcome.input_tokens + outcome.output_tokens for outcome in outcomes], 50)
        if outcomes
        else None,
        precision=_mean([p for result in counted if (p := result.citations.precision) is not None]),
        recall=_mean([r for result in counted if (r := result.citations.recall) is not None]),
    )


def grouped(results: Iterable[Result], by: Callable[[Result], K]) -> dict[K, Figures]:
    """Figures for each group, in the order in which the groups first appear."""
    groups: dict[K, list[Result]] = {}
    for result in results:
        groups.setdefault(by(result), []).append(result)
    return {key: figures(group) for key, group in groups.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` percent lie, interpolated between neighbours. Of nothing: an error."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def length_class(length: int) -> int:
    """Lengths of about the same size as one: the nearest of 1, 2, 5, 10, 20, 50, …."""
    steps = (factor * int(10**power) for power in range(len(str(length)) + 1) for factor in (1, 2, 5))
    return min(steps, key=lambda step: abs(step - length))


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
