"""The figures of an evaluation once more, from what it recorded: no model is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from rlm_rs.evaluation.judging import read_judgement
from rlm_rs.evaluation.scoring import reference_scores


def rederived(evaluation: Mapping[str, Any]) -> dict[str, dict[str, dict[str, float | None]]]:
    """`judge_metrics` from the judge's recorded replies, `reference_scores` from the answers."""
    return {
        "judge_metrics": {
            who: {metric: _score(evaluation, who, metric) for metric in metrics}
            for who, metrics in evaluation["judge_metrics"].items()
        },
        "reference_scores": {
            who: dict(reference_scores(_answer(evaluation, who), evaluation["reference_answers"]))
            for who in evaluation["reference_scores"]
        },
    }


def differences(evaluation: Mapping[str, Any]) -> list[str]:
    """What the recorded figures and those derived again disagree about, in words."""
    return [
        f"{kind} of {who}, {name}: recorded {evaluation[kind][who].get(name)}, derived {score}"
        for kind, by_whom in rederived(evaluation).items()
        for who, scores in by_whom.items()
        for name, score in scores.items()
        if evaluation[kind][who].get(name) != score
    ]


def _score(evaluation: Mapping[str, Any], who: str, metric: Any) -> float | None:
    details = evaluation["judge_details"].get(who, {}).get(metric)
    return None if details is None else read_judgement(metric, orjson.dumps(details).decode()).score


def _answer(evaluation: Mapping[str, Any], who: str) -> str:
    answer: str | None = evaluation["baseline_answer" if who == "baseline" else "answer"]
    return answer or ""
