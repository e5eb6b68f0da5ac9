"""From what was read to what is cited: how each citation is supported, and in which order they stand.

`quoted`: the answer contains its words. `evidence`: its text went into a sub-call or was printed to the
root model. `read`: it was merely read. What step code cited itself comes first, in the order of its
marks, and then stands alone with what its children cited; otherwise everything read is listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rlm_rs.core.spans import Range, SpanRef
from rlm_rs.sandbox.protocol import Cite

Support = Literal["quoted", "evidence", "read"]

QUOTE_WORDS = 6
PROBE_CHARS = 100
STARTS_TRIED = 16
"""Places of the answer that a run is compared with: an answer that repeats itself has many."""

WORDS_QUOTED = 100_000
"""Words of the answer, from its beginning, that parts of a passage are looked for in."""

_RANK: dict[Support, int] = {"quoted": 0, "evidence": 1, "read": 2}
# scripts written without spaces count by character
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")


@dataclass(frozen=True, slots=True)
class Citation:
    """A SpanRef with where it stands for a person, and how it supports the answer.

    page counts from 1; None where the document has no pages.
    """

    ref: SpanRef
    source_name: str
    support: Support
    page: int | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class ContextItem:
    """One result of CONTEXTS mode: a span tagged `context`, in discovery order."""

    sequence_index: int
    turn_index: int
    span_index: int
    tag: str
    text: str
    text_char_length: int
    source_name: str
    mime_type: str
    ref: SpanRef


@dataclass(frozen=True, slots=True)
class Cited:
    """A range to be cited, before its text is hashed."""

    range: Range
    support: Support
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A merged range, its text, and the ranges actually read that it was merged from."""

    range: Range
    text: str
    reads: tuple[Range, ...] = ()


class Quotes:
    """The words of an answer, ready to be looked for in passages."""

    def __init__(self, answer: str) -> None:
        self._answer = tuple(match.group().casefold() for match in _WORD.finditer(answer))
        self._vocabulary = frozenset(self._answer)
        # no word holds a NUL: words in a row are one text, which is searched in linear time
        self._joined = _joined(self._answer)
        self._starts: dict[tuple[str, ...], list[int]] = {}
        for i in range(min(len(self._answer), WORDS_QUOTED) - QUOTE_WORDS + 1):
            starts = self._starts.setdefault(self._answer[i : i + QUOTE_WORDS], [])
            if len(starts) < STARTS_TRIED:
                starts.append(i)

    def holds(self, text: str) -> bool:
        """Whether the answer contains all of these words in a row."""
        wanted: list[str] = []
        for match in _WORD.finditer(text):
            word = match.group().casefold()
            if word not in self._vocabulary or len(wanted) == len(self._answer):
                return False
            wanted.append(word)
        return bool(wanted) and _joined(wanted) in self._joined

    def runs(self, text: str) -> Iterator[tuple[int, int]]:
        """Character ranges of `text` that the answer repeats word for word, at least QUOTE_WORDS long."""
        if not self._starts:
            return
        # only stretches of words that the answer has somewhere are worth a closer look
        stretch: list[re.Match[str]] = []
        for match in _WORD.finditer(text):
            if match.group().casefold() in self._vocabulary:
                stretch.append(match)
            elif stretch:
                yield from self._runs_in(stretch)
                stretch = []
        yield from self._runs_in(stretch)

    def _runs_in(self, stretch: Sequence[re.Match[str]]) -> Iterator[tuple[int, int]]:
        if len(stretch) < QUOTE_WORDS:
            return
        folded = tuple(match.group().casefold() for match in stretch)
        i = 0
        while i <= len(folded) - QUOTE_WORDS:
            length = self._run_length(folded, i)
            if length:
                yield stretch[i].start(), stretch[i + length - 1].end()
            i += length or 1

    def _run_length(self, folded: tuple[str, ...], i: int) -> int:
        starts = self._starts.get(folded[i : i + QUOTE_WORDS], ())
        return max((self._extended(folded, i, j) for j in starts), default=0)

    def _extended(self, folded: tuple[str, ...], i: int, j: int) -> int:
        length = QUOTE_WORDS
        most = min(len(folded) - i, len(self._answer) - j)
        while length < most and folded[i + length] == self._answer[j + length]:
            length += 1
        return length


def _joined(words: Sequence[str]) -> str:
    return "\0".join(("", *words, ""))


def supported(passages: Sequence[Passage], answer: str, evidence: str) -> list[Cited]:
    """Every passage with its support, best first; the words an answer quotes get a citation of their own.

    evidence: all text that reached a model, prompts of sub-calls and printed output, joined.
    """
    quotes = Quotes(answer)
    found: list[Cited] = []
    for passage in passages:
        if quotes.holds(passage.text):
            found.append(Cited(passage.range, "quoted"))
            continue
        found += [Cited(_within(passage.range, *run), "quoted") for run in quotes.runs(passage.text)]
        found.append(Cited(passage.range, "evidence" if _reached_a_model(passage, evidence) else "read"))
    return sorted(found, key=lambda cited: _RANK[cited.support])


def named(cites: Iterable[Cite], texts: dict[Range, str], answer: str) -> list[Cited]:
    """What step code cited itself, in the order of its marks."""
    quotes = Quotes(answer)
    found = []
    for cite in cites:
        place = Range(cite.doc_index, cite.start_char, cite.end_char)
        quoted = quotes.holds(texts[place]) or any(quotes.runs(texts[place]))
        found.append(Cited(place, "quoted" if quoted else "evidence", cite.note))
    return found


def _within(outer: Range, start: int, end: int) -> Range:
    return Range(outer.doc_index, outer.start_char + start, outer.start_char + end)


def _reached_a_model(passage: Passage, evidence: str) -> bool:
    base = passage.range.start_char
    reads = passage.reads or (passage.range,)
    return any(_probe(passage.text[r.start_char - base : r.end_char - base]) in evidence for r in reads)


def _probe(text: str) -> str:
    """The middle of a text: enough to recognise it also where its ends were trimmed."""
    middle = len(text) // 2
    return text[max(0, middle - PROBE_CHARS // 2) : middle + PROBE_CHARS // 2]
