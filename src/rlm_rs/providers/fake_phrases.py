"""Phrases as people write them, made into patterns, for the offline policy's thesaurus and for questions.

A space also matches a hyphen or a line break, `*` stands for the rest of a word, `...` for up to eight words
and `#` for a number. The patterns use nothing but what every regex engine has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rlm_rs.providers.fake_words import IRREGULAR

ANYTHING = "..."
_GAP = r"(?:\W+\w+){0,8}?\W+"
_SPACE = r"[\s-]+"
_NUMBER = r"\d[\d.,]*"
_EDGE = r"(?:\b|_)"
"""Words also end at the underscores of names in code."""

_ENDINGS = (
    "s|es|d|ed|ing|ings|er|ers|or|ors|ly|al|ment|ments|ion|ions|ation|ations|able|ible|ance|ence|ity|ies|y|e"
)
_VOWELS = "aeiouy"
_SUFFIXES = (
    ("ations", 4), ("ation", 4), ("ments", 4), ("ment", 4), ("ings", 3), ("ing", 3), ("ions", 4), ("ion", 4),
    ("ies", 3), ("ers", 4), ("ors", 4), ("ed", 3), ("es", 3), ("er", 4), ("or", 4), ("ly", 4), ("s", 3),
    ("y", 3), ("e", 3), ("d", 4),
)  # fmt: skip


def pattern(phrase: str) -> str:
    """The pattern of one phrase, without flags. `pattern("may ... cancel*")` matches "may at once cancel"."""
    parts = [part.strip() for part in phrase.split(ANYTHING)]
    return r"\b" + _GAP.join(_SPACE.join(map(_word, part.split())) for part in parts) + r"(?!\w)"


def pieces(phrase: str) -> re.Pattern[str]:
    """The same with a group for each piece between gaps, ignoring case."""
    parts = ("(" + _SPACE.join(map(_word, part.split())) + ")" for part in phrase.split(ANYTHING))
    return re.compile(r"\b" + _GAP.join(parts) + r"(?!\w)", re.IGNORECASE)


def places_of(match: re.Match[str]) -> frozenset[int]:
    """Where the groups of a match stand, character by character."""
    spans = (match.span(number) for number in range(1, match.re.groups + 1))
    return frozenset(place for span in spans for place in range(*span))


def scannable(phrase: str) -> str:
    """The same for native search over everything: no lookahead, which not every engine has."""
    return _EDGE + _SPACE.join(map(_word, phrase.split())) + _EDGE


def either(phrases: Iterable[str]) -> re.Pattern[str]:
    """One pattern for several phrases, ignoring case; for none, one that never matches."""
    patterns = [pattern(phrase) for phrase in phrases]
    return re.compile("|".join(patterns) or r"(?!)", re.IGNORECASE)


def _word(word: str) -> str:
    if word == "#":
        return _NUMBER
    stem, star, rest = word.partition("*")
    return re.escape(stem).replace("'", "['’]") + (r"\w*" if star else "") + re.escape(rest)


def forms(word: str) -> str:
    """The pattern of a word in its usual English forms: `forms("planned")` matches plan, plans, planning."""
    known = IRREGULAR.get(word.lower())
    if known:
        return _EDGE + "(?:" + "|".join(dict.fromkeys(map(_regular, known))) + ")" + _EDGE
    return _EDGE + _regular(word) + _EDGE


def _regular(word: str) -> str:
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return re.escape(word) + r"(?:['’]?s)?"
    stem = stem_of(word.lower())
    doubled = re.escape(stem[-1]) + "?" if stem[-1] not in _VOWELS else ""
    return rf"{re.escape(stem)}{doubled}(?:{_ENDINGS})?"


def stem_of(word: str) -> str:
    """A lower-case word without its ending; never shorter than three letters."""
    for suffix, least in _SUFFIXES:
        stem = word[: -len(suffix)]
        if word.endswith(suffix) and len(stem) >= least and not (suffix == "s" and stem.endswith("s")):
            if suffix[0] in "aeio" and len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "aeiouls":
                return stem[:-1]
            return stem
    return word
