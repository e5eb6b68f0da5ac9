"""What a generator makes of one case, before it is laid out in documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rlm_rs.suites.metrics import Reference


@dataclass(frozen=True, slots=True)
class Made:
    """A question, its reference answer, and the passages to hide.

    evidence: which passages (by number) hold the answer; the others distract. facts: what an infallible
    reader would say about a passage. extension: that of the documents.
    """

    question: str
    answer: Reference
    metric: str
    passages: Sequence[str]
    evidence: Sequence[int]
    facts: Mapping[str, str] = field(default_factory=dict)
    extension: str = "txt"
