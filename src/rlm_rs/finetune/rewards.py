"""What an execution is worth: the quality of its answer less what it took to get there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

QualityName = Literal["judge", "exact_match", "contains", "f1", "numeric", "numeric_closeness"]


@dataclass(frozen=True, slots=True)
class Weights:
    """What is taken off the quality: for each turn, sub-call and search, and for 1,000 characters read or
    searched."""

    turn: float = 0.02
    subcall: float = 0.03
    span: float = 0.005
    scan: float = 0.01
    search: float = 0.02


def judge_scores(trace: Mapping[str, Any], who: str = "answerer") -> dict[str, float | None]:
    """`answer_relevancy` and `faithfulness` as the judge gave them; empty where nothing was judged."""
    evaluation = trace.get("evaluation") or {}
    found: dict[str, float | None] = (evaluation.get("judge_metrics") or {}).get(who) or {}
    return found


def quality(trace: Mapping[str, Any], name: QualityName = "judge", who: str = "answerer") -> float | None:
    """From 0 to 1: the mean of both judge metrics, or a score against the reference answers.

    None where that is not known; of the judge's metrics both are needed, or answers could not be compared.
    """
    if name == "judge":
        scores = judge_scores(trace, who)
        relevancy, faithfulness = scores.get("answer_relevancy"), scores.get("faithfulness")
        return None if relevancy is None or faithfulness is None else (relevancy + faithfulness) / 2
    evaluation = trace.get("evaluation") or {}
    score: float | None = ((evaluation.get("reference_scores") or {}).get(who) or {}).get(name)
    return score


def penalty(trace: Mapping[str, Any], weights: Weights) -> float:
    """What is taken off."""
    metrics = trace["metrics"]
    return float(
        weights.turn * metrics["turns"]
        + weights.subcall * metrics["llm_subcalls"]
        + weights.span * metrics["span_chars"] / 1000
        + weights.scan * metrics["scan_span_chars"] / 1000
        + weights.search * metrics["search_requests"]
    )


def reward(trace: Mapping[str, Any], weights: Weights, name: QualityName = "judge") -> float | None:
    """Quality less penalties; None where the quality is not known."""
    known = quality(trace, name)
    return None if known is None else known - penalty(trace, weights)
