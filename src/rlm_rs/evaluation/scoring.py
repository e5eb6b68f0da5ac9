"""Scores of an answer against reference answers, from 0 to 1. No model is asked.

Exact match and F1 follow SQuAD (arXiv 1606.05250, section 6.1): case, punctuation and English articles do not
count. With several references the best score counts. Citation marks such as `[1]` are no part of an answer.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Literal

Metric = Literal["exact_match", "contains", "f1", "numeric", "numeric_closeness"]

CITATION_MARK = re.compile(r"\[\d+(?:\s*,\s*\d+)*\]")
_ARTICLES = frozenset({"a", "an", "the"})
_NUMBER = re.compile(r"(?<![\w.])[-−+]?(?:\d{1,3}(?:[,'   ]\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,3})?(?!\w)")
_GROUPING = re.compile(r"[,'   ]")
CLOSENESS_BASE = 0.75
MAX_DIGITS = 100_000
MAX_DIFFERENCE = Decimal(1000)


def words(text: str) -> list[str]:
    """The words that are compared: compatibility form, no case, no punctuation, no English articles."""
    plain = unicodedata.normalize("NFKC", CITATION_MARK.sub(" ", text)).casefold()
    spaced = "".join(c if c.isalnum() or unicodedata.category(c).startswith("M") else " " for c in plain)
    return [word for word in spaced.split() if word not in _ARTICLES]


def exact_match(answer: str, references: Sequence[str]) -> float:
    """1 if the answer's words are those of a reference, in order."""
    said = words(answer)
    return float(any(said == words(reference) for reference in references))


def contains(answer: str, references: Sequence[str]) -> float:
    """1 if a reference's words stand in the answer, together and in order."""
    said = f" {' '.join(words(answer))} "
    wanted = [" ".join(words(reference)) for reference in references]
    return float(any(reference and f" {reference} " in said for reference in wanted))


def f1(answer: str, references: Sequence[str]) -> float:
    """Harmonic mean of precision and recall over the words, each as often as it occurs."""
    return max((_f1(words(answer), words(reference)) for reference in references), default=0.0)


def _f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    if not said or not wanted:
        return float(said == wanted)
    shared = sum((Counter(said) & Counter(wanted)).values())
    return 2 * shared / (len(said) + len(wanted))


def number_in(text: str) -> Decimal | None:
    """The number an answer gives: the last one in it, since working comes before a result.

    Thousands may be grouped by comma, apostrophe or space; a percent or currency sign does not count.
    """
    found = _NUMBER.findall(CITATION_MARK.sub(" ", text))
    if not found:
        return None
    try:
        number = Decimal(_GROUPING.sub("", found[-1]).replace("−", "-"))
    except InvalidOperation:
        return None
    # beyond what can be reckoned with, and no answer to anything
    return number if abs(number.adjusted()) < MAX_DIGITS else None


def numeric(answer: str, references: Sequence[str], tolerance: float = 1e-6) -> float:
    """1 if the answer's number is a reference's, give or take `tolerance` as a share of the reference."""
    said = number_in(answer)
    numbers = [number for number in map(number_in, references) if number is not None]
    if said is None:
        return 0.0
    return float(any(abs(said - number) <= abs(number) * Decimal(tolerance) for number in numbers))


def numeric_closeness(answer: str, references: Sequence[str]) -> float:
    """0.75 to the power of how far the answer's number is from the reference (OOLONG, arXiv 2511.02817)."""
    said = number_in(answer)
    numbers = [number for number in map(number_in, references) if number is not None]
    if said is None or not numbers:
        return 0.0
    difference = min(abs(said - number) for number in numbers)
    return float(CLOSENESS_BASE ** float(min(difference, MAX_DIFFERENCE)))


SCORERS: Mapping[Metric, Callable[[str, Sequence[str]], float]] = {
    "exact_match": exact_match,
    "contains": contains,
    "f1": f1,
    "numeric": numeric,
    "numeric_closeness": numeric_closeness,
}
"""Every metric by its name."""


def reference_scores(answer: str, references: Sequence[str]) -> dict[str, float]:
    """What is recorded of an answer with references; the numeric scores where a reference has a number."""
    names: list[Metric] = ["exact_match", "contains", "f1"]
    if any(number_in(reference) is not None for reference in references):
        names += ["numeric", "numeric_closeness"]
    return {name: round(SCORERS[name](answer, references), 6) for name in names}
