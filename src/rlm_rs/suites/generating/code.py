"""Who calls a function: a question that names in comments and texts make look easier than it is."""

from __future__ import annotations

from itertools import product
from random import Random

from rlm_rs.suites.generating.made import Made
from rlm_rs.suites.generating.words import words

CALLERS, MENTIONS, OTHERS = 4, 3, 8


def code(random: Random, length: int) -> Made:
    """Which functions call `merge_ledger` directly?"""
    pairs = product(words("code")["verbs"], words("code")["nouns"])
    names = [f"{verb}_{noun}" for verb, noun in pairs]
    target, *rest = random.sample(names, 1 + CALLERS + MENTIONS + OTHERS)
    callers, mentions, others = rest[:CALLERS], rest[CALLERS : CALLERS + MENTIONS], rest[CALLERS + MENTIONS :]
    facts = {_calling(name, target, random): "yes" for name in callers}
    facts |= {_mentioning(name, target, random): "no" for name in mentions}
    facts |= {_calling(name, random.choice(mentions), random): "no" for name in others}
    facts[f"def {target}(value):\n    return value * {random.randint(2, 9)}"] = "no"
    return Made(
        question=f"Which functions of this Python code call `{target}` directly? Answer with their names, "
        "separated by commas.",
        answer=tuple(sorted(callers)),
        metric="set_f1",
        passages=list(facts),
        evidence=range(CALLERS),
        facts=facts,
        extension="py",
    )


def _calling(name: str, called: str, random: Random) -> str:
    return f"def {name}(value):\n    total = value + {random.randint(1, 999)}\n    return {called}(total)"


def _mentioning(name: str, target: str, random: Random) -> str:
    said = random.choice((f"as {target}() did before", f"do not use {target}(value) here"))
    return f'def {name}(value):\n    """Adds, {said}."""\n    return value + {random.randint(1, 999)}'
