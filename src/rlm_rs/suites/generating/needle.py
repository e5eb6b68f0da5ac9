"""One fact in a haystack, among facts that look like it."""

from __future__ import annotations

from itertools import product
from random import Random

from rlm_rs.suites.generating.made import Made
from rlm_rs.suites.generating.words import words

DISTRACTORS = 4


def needle(random: Random, length: int) -> Made:
    """What is the release code of the amber turbine?"""
    pairs = product(words("needle")["colours"], words("needle")["things"])
    names = random.sample([f"{colour} {thing}" for colour, thing in pairs], DISTRACTORS + 1)
    codes = [str(code) for code in random.sample(range(100_000, 1_000_000), len(names))]
    passages = [f"The release code of the {name} is {code}." for name, code in zip(names, codes, strict=True)]
    return Made(
        question=f"What is the release code of the {names[0]}?",
        answer=codes[0],
        metric="contains",
        passages=passages,
        evidence=[0],
        facts=dict(zip(passages, codes, strict=True)),
    )
