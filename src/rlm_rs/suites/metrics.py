"""Every metric a case may name, and an answer's score by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rlm_rs.evaluation.scoring import SCORERS
from rlm_rs.suites.item_scores import set_f1

Reference = str | int | float | tuple[str, ...]

METRICS: Mapping[str, Callable[[str, Sequence[str]], float]] = {**dict(SCORERS.items()), "set_f1": set_f1}
"""With a list for a reference, `set_f1` compares the lists; for any other metric one of its items will do."""


def references_of(reference: Reference) -> tuple[str, ...]:
    """A reference as texts."""
    return reference if isinstance(reference, tuple) else (str(reference),)


def score(metric: str, answer: str | None, value: Any, reference: Reference) -> float:
    """From 0 to 1; no answer scores 0. value: the answer as JSON, where the code gave more than text."""
    said = answer or ""
    if metric == "set_f1" and isinstance(value, list):
        said = "\n".join(str(item) for item in value)
    return METRICS[metric](said, references_of(reference)) if said else 0.0
