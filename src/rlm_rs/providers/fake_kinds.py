"""Kinds of fact a question may want: how they are asked for, and how they look in a text."""

from __future__ import annotations

import re

_NUMBER = (
    r"(?:\d[\d.,]*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|"
    r"fifty|sixty|ninety|hundred|thousand|million|billion|dozen)"
)
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|June?|July?|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_KINDS: dict[str, tuple[str, str]] = {
    "duration": (
        r"how long|what (?:advance |prior |written )?notice|how much (?:\w+ )?notice|notice period|"
        r"how many (?:days|weeks|months|years|hours|minutes|seconds)|what period|duration|"
        r"time ?limit|timeout",
        rf"\b{_NUMBER}[\s)]*[\s-]*(?:\w+[\s-]+)?(?:second|minute|hour|day|week|month|quarter|year|ms|s)s?\b",
    ),
    "date": (
        r"^when\b|\bwhen (?:did|was|were|is|are|does|do|will|must|should)\b|what date|which date|what day|"
        r"what year|which year|deadline|effective date|expiration date|expiry date|by when|how old",
        rf"\b{_MONTH}\s+\d{{1,4}}|\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}|\b\d{{4}}-\d\d(?:-\d\d)?\b|"
        r"\b\d{1,2}[/.]\d{1,2}[/.]\d{2,4}\b|\b(?:1[5-9]|20)\d\d\b",
    ),
    "money": (
        r"how much (?:money|does|did|do|is|was|were|will|must|has)|price|cost|\bfees?\b|budget|"
        r"salary|salaries|amount|how expensive|in dollars|in euros",
        rf"(?:[$€£¥]|\b(?:USD|EUR|GBP|CHF|JPY|RMB))\s?\d[\d.,]*(?:\s(?:thousand|million|billion))?|"
        rf"\b{_NUMBER}[\s)]*(?:million |billion )?"
        r"(?:dollars|euros|pounds|cents|USD|EUR|GBP|CHF|RMB|yuan|francs)\b",
    ),
    "percent": (
        r"percent|percentage|\bshare of\b|what rate|which rate|interest rate",
        r"\d[\d.,]*\s?(?:%|per\s?cent\b)",
    ),
    "count": (
        r"how many|number of|how large|how big|how often|how far|how fast|how high|how tall",
        rf"\b{_NUMBER}\b",
    ),
    "person": (
        r"^who\b|\bwho (?:is|was|are|were|did|does|has|will|must|wrote|leads?|led)\b|whom|whose",
        r"\b[A-Z][\w'’-]+(?:\s+(?:[A-Z]\.|[A-Z][\w'’-]+|of|the|de|von|van))*\s+[A-Z][\w'’-]+|"
        r"\b(?:Mr|Mrs|Ms|Dr|Prof|Sir|Lady|Captain|Professor)\.?\s[A-Z]",
    ),
    "place": (
        r"^where\b|\bwhere (?:is|was|are|were|did|does|do|will)\b|"
        r"(?:which|what) (?:city|country|state|town|location|place|county)",
        r"\b(?i:in|at|near|from|to|of)\s+(?i:the\s+)?[A-Z][\w'’-]+|"
        r"\b(?:under|behind|beneath|inside|above|below|beside|near|in|on|at)\s+(?:the|an?|his|her|their|its)\s+\w+",
    ),
}


def kinds_asked(question: str) -> tuple[str, ...]:
    """The kinds of fact a question wants."""
    return tuple(name for name, (asked, _) in _KINDS.items() if re.search(asked, question, re.IGNORECASE))


def is_numeric(kind: str) -> bool:
    """Whether a bare number may be a fact of that kind, as in a table or a setting."""
    return kind in ("duration", "money", "percent", "count")


def found(kind: str, text: str) -> list[tuple[int, int]]:
    """Where a text holds facts of that kind."""
    return [match.span() for match in re.finditer(_KINDS[kind][1], text)]


def holds(kind: str, text: str) -> bool:
    """Whether a text holds a fact of that kind."""
    return re.search(_KINDS[kind][1], text) is not None


def pattern_of(kind: str) -> str:
    """How a fact of that kind looks in a text."""
    return _KINDS[kind][1]
