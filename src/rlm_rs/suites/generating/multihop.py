"""A chain of facts in different places: each answers a question that the next one needs."""

from __future__ import annotations

from random import Random

from rlm_rs.suites.generating.made import Made
from rlm_rs.suites.generating.words import words

CHAINS = 4


def multihop(random: Random, length: int) -> Made:
    """From which pier does the boat leave for the town where the keeper of the north lock lives?"""
    first, last, offices, towns = (random.sample(found, CHAINS) for found in words("multihop").values())
    keepers = [f"{a} {b}" for a, b in zip(first, last, strict=True)]
    piers = [f"pier {number}" for number in random.sample(range(2, 90), CHAINS)]
    facts: dict[str, str] = {}
    for keeper, office, town, pier in zip(keepers, offices, towns, piers, strict=True):
        facts |= {
            f"The keeper of the {office} is {keeper}.": keeper,
            f"{keeper} has lived in {town} since the spring.": town,
            f"The boat for {town} leaves from {pier}.": pier,
        }
    return Made(
        question="From which pier does the boat leave for the town where the keeper of "
        f"the {offices[0]} lives?",
        answer=piers[0],
        metric="contains",
        passages=list(facts),
        evidence=[0, 1, 2],
        facts=facts,
    )
