"""A figure over all entries of a log (OOLONG, arXiv 2511.02817), and the pairs of users in it (quadratic)."""

from __future__ import annotations

from itertools import combinations
from random import Random

from rlm_rs.suites.generating.entries import LABELS, Entry, entries, facts_of
from rlm_rs.suites.generating.made import Made

USERS = 12
RULES = (
    "The corpus holds the entries of a log among other text; each stands on a line that begins with `Entry`. "
    f"Each is about one of: {', '.join(LABELS)}."
)


def aggregation(random: Random, length: int) -> Made:
    """How many entries are about billing?"""
    found = entries(random, length, USERS)
    label = random.choice(found).label
    about = [number for number, entry in enumerate(found) if entry.label == label]
    question = f"{RULES} How many entries are about {label}? Answer with the number alone."
    return _made(question, len(about), "numeric_closeness", found, about)


def pairwise(random: Random, length: int) -> Made:
    """Which pairs of users both have an entry about billing?"""
    found = entries(random, length, USERS)
    label = random.choice(found).label
    about = [number for number, entry in enumerate(found) if entry.label == label]
    users = sorted({found[number].user for number in about})
    pairs = tuple(f"{one}-{other}" for one, other in combinations(users, 2))
    question = (
        f"{RULES} List every pair of different users who both have at least one entry about {label}, the "
        "smaller number first, as `1234-5678`, separated by commas; answer `none` if there is no such pair."
    )
    return _made(question, pairs or ("none",), "set_f1", found, about)


def _made(
    question: str, answer: int | tuple[str, ...], metric: str, found: list[Entry], about: list[int]
) -> Made:
    return Made(question, answer, metric, [entry.line for entry in found], about, facts_of(found))
