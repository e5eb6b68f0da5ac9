"""Scores of answers that are lists, and of what was cited, from 0 to 1."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rlm_rs.evaluation.scoring import CITATION_MARK

_QUOTED = re.compile(r"`([^`\n]+)`")
_BETWEEN = re.compile(r"[,;\n]|\s(?:and|und|et|y|or)\s")
_NUMBER = re.compile(r"^\s*\d+[.)]\s+")
_EDGES = " \t\r\n.*•-\"'`()[]{}"


def items_of(answer: str) -> frozenset[str]:
    """The items of a list in words: those in backticks, else what commas, semicolons and line ends separate.

    What stands before a colon introduces the list; case does not count.
    """
    plain = CITATION_MARK.sub(" ", answer)
    quoted = _QUOTED.findall(plain)
    listed = quoted or _BETWEEN.split(plain.rpartition(":")[2])
    return frozenset(item for part in listed if (item := _NUMBER.sub("", part).strip(_EDGES).casefold()))


def set_f1(answer: str, references: Sequence[str]) -> float:
    """Harmonic mean of precision and recall over the items of a list; order does not count."""
    said, wanted = items_of(answer), frozenset(reference.casefold() for reference in references)
    if not said or not wanted:
        return float(said == wanted)
    return 2 * len(said & wanted) / (len(said) + len(wanted))


@dataclass(frozen=True, slots=True)
class Stretch:
    """A range of a document, by its name."""

    source_name: str
    start_char: int
    end_char: int

    def meets(self, other: Stretch) -> bool:
        """Whether the two share a character of a document."""
        return (
            self.source_name == other.source_name
            and self.start_char < other.end_char
            and other.start_char < self.end_char
        )


@dataclass(frozen=True, slots=True)
class CitationScore:
    """precision: share of citations that touch a reference span; recall: share of spans that are touched.

    None where nothing was cited, or nothing is to be found or could be cited.
    """

    precision: float | None
    recall: float | None


def citation_score(cited: Sequence[Stretch], wanted: Sequence[Stretch]) -> CitationScore:
    """How citations meet the reference spans of a case."""
    if not wanted:
        return CitationScore(None, None)
    good = _share(any(citation.meets(span) for span in wanted) for citation in cited)
    return CitationScore(good, _share(any(span.meets(citation) for citation in cited) for span in wanted))


def _share(hits: Iterable[bool]) -> float | None:
    found = list(hits)
    return sum(found) / len(found) if found else None
