"""Entries of a complaints log, whose subject has to be understood: no keyword gives it away.

The shape of OOLONG (arXiv 2511.02817): every entry counts, and the answer is a figure over all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from rlm_rs.suites.generating.words import words

LABELS = tuple(words("entries"))
CHARS_PER_ENTRY = 120
"""About one entry for so many characters of the corpus: an entry and the text around it."""
FEWEST, MOST = 8, 400


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its line in the log, who wrote it, what it is about."""

    line: str
    user: int
    label: str


def entries(random: Random, length: int, users: int) -> list[Entry]:
    """As many entries as a corpus of that length holds, each line of its own kind."""
    count = max(FEWEST, min(MOST, length // (CHARS_PER_ENTRY * 10)))
    people = random.sample(range(1000, 10_000), users)
    return [_entry(random, number, random.choice(people)) for number in range(1, count + 1)]


def _entry(random: Random, number: int, user: int) -> Entry:
    label = random.choice(LABELS)
    text = random.choice(words("entries")[label]).format(n=random.randint(2, 99))
    day = f"2025-{random.randint(1, 12):02d}-{random.randint(1, 28):02d}"
    return Entry(f"Entry {number:04d} | {day} | user {user} | {text}", user, label)


def facts_of(found: list[Entry]) -> dict[str, str]:
    """What a reader would say each entry is about."""
    return {entry.line: entry.label for entry in found}
