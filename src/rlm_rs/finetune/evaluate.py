"""How good a policy is over its executions: means of quality, cost and effort, from traces alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from rlm_rs.finetune.rewards import Weights, judge_scores, quality, reward

_EFFORT = (
    *("turns", "parse_errors", "step_errors", "llm_subcalls", "search_requests", "span_chars"),
    *("scan_span_chars", "total_subcall_prompt_chars", "input_tokens", "output_tokens", "cost_usd"),
    "seconds",
)


@dataclass(slots=True)
class _Policy:
    """What is known of one policy so far: sums are kept exact, so that the order of traces is no matter."""

    executions: int = 0
    evaluated: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    sums: dict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    counts: Counter[str] = field(default_factory=Counter)
    skip_reasons: Counter[str] = field(default_factory=Counter)
    baseline_skipped: Counter[str] = field(default_factory=Counter)
    against_baseline: Counter[str] = field(default_factory=Counter)

    def take(self, trace: Mapping[str, Any], weights: Weights) -> None:
        """Count an execution."""
        self.executions += 1
        self.statuses[trace["execution"]["status"]] += 1
        for name, value in _figures(trace, weights):
            if value is not None:
                self.sums[name] += Fraction(value)
                self.counts[name] += 1
        evaluation = trace.get("evaluation")
        if evaluation is None or evaluation["status"] != "COMPLETED":
            return
        self.evaluated += 1
        for who, reasons in evaluation["skip_reasons"].items():
            self.skip_reasons.update(f"{who} {metric}: {reason}" for metric, reason in reasons.items())
        if evaluation["baseline_skip_reason"]:
            self.baseline_skipped[evaluation["baseline_skip_reason"]] += 1
        ours, theirs = quality(trace), quality(trace, who="baseline")
        if ours is not None and theirs is not None:
            self.against_baseline["better" if ours > theirs else "worse" if ours < theirs else "equal"] += 1

    def report(self) -> dict[str, Any]:
        """As JSON values: each mean with how many executions it is over."""
        return {
            "executions": self.executions,
            "evaluated": self.evaluated,
            "statuses": dict(sorted(self.statuses.items())),
            "means": {
                name: {"mean": float(total / self.counts[name]), "n": self.counts[name]}
                for name, total in sorted(self.sums.items())
            },
            "skip_reasons": dict(sorted(self.skip_reasons.items())),
            "baseline_skipped": dict(sorted(self.baseline_skipped.items())),
            "against_baseline": {name: self.against_baseline[name] for name in ("better", "equal", "worse")},
        }


def evaluate(
    traces: Iterable[Mapping[str, Any]], status: str | None = None, weights: Weights | None = None
) -> dict[str, Any]:
    """The report over all executions (of a status), and the same by root model."""
    weights = weights or Weights()
    whole, by_model = _Policy(), dict[str, _Policy]()
    for trace in traces:
        if status is None or trace["execution"]["status"] == status:
            whole.take(trace, weights)
            model = trace["execution"]["models"]["root_model"]
            by_model.setdefault(model, _Policy()).take(trace, weights)
    return {
        **whole.report(),
        "by_root_model": {model: policy.report() for model, policy in sorted(by_model.items())},
    }


def _figures(trace: Mapping[str, Any], weights: Weights) -> Iterator[tuple[str, float | None]]:
    metrics = trace["metrics"]
    yield from ((name, metrics[name]) for name in _EFFORT)
    yield from judge_scores(trace).items()
    yield "quality", quality(trace)
    yield "reward", reward(trace, weights)
    yield from ((f"baseline_{name}", score) for name, score in judge_scores(trace, "baseline").items())
    yield "baseline_quality", quality(trace, who="baseline")
    evaluation = trace.get("evaluation") or {}
    for who, scores in (evaluation.get("reference_scores") or {}).items():
        yield from ((name if who == "answerer" else f"{who}_{name}", score) for name, score in scores.items())
