"""The offline sub-model: it quotes the sentences that bring a question's ideas together, or says NONE.

A sentence is scored by how much of the question it covers. Ideas that stand just before it, in the heading
above it or in the name of its document count in part, because sentences say "it" and "this Agreement".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rlm_rs.providers.fake_kinds import found, holds, is_numeric
from rlm_rs.providers.fake_question import Idea, Question
from rlm_rs.providers.fake_sentences import Sentence, sentences

THRESHOLD = 0.6
"""Share of the question a sentence must cover to be an answer."""

HINT = 0.65
ONE_WAY_LESS = 0.06
ABOVE = 0.5
BEFORE = 0.35
ANCHOR_BEFORE = 0.75
SPREAD = 0.8
LOOK_BACK = 2
HEADING_REACH = 5
NEAR = 60
NAMED = 0.7
TERSE = 0.1
FAR_FACT = 0.5
ANCHOR_ABOVE = 0.5
MOST_QUOTES = 3
_LEAD_CHARS = 40

_CLAUSES = re.compile(r";|,\s+(?:provided|except|unless)\b")
_CLAUSE_BORDER = re.compile(r"[;:]|\.\s|\s\((?:[a-z]|[ivx]{1,4}|\d{1,2})\)\s")
_LENGTHY = 60


@dataclass(frozen=True, slots=True)
class Source:
    """A passage to judge: its label, the name of its document, and its text."""

    label: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence that answers, from 0 to 1 how well, and which ideas and kinds it brings."""

    source: Source
    sentence: Sentence
    score: float
    brings: frozenset[str]


def judge(question: Question, sources: Sequence[Source]) -> list[Quote]:
    """The sentences that answer the question, for each document the best first and only what adds to it."""
    by_name: dict[str, list[Quote]] = {}
    for source in sources:
        by_name.setdefault(source.name, []).extend(_scored(question, source))
    return [quote for quotes in by_name.values() for quote in _chosen(quotes)]


def _chosen(quotes: Iterable[Quote]) -> Iterator[Quote]:
    ranked = sorted(quotes, key=lambda quote: (-quote.score, quote.source.label, quote.sentence.start))
    brought: set[str] = set()
    seen: set[str] = set()
    for quote in ranked:
        words = " ".join(quote.sentence.text.split()).casefold()
        if words in seen or len(seen) >= MOST_QUOTES:
            continue
        if seen and quote.brings <= brought and quote.score < 0.9 * ranked[0].score:
            continue
        seen.add(words)
        brought |= quote.brings
        yield quote


def _scored(question: Question, source: Source) -> Iterator[Quote]:
    if question.overview or not question.ideas:
        yield from _lead(source)
        return
    covered = _Coverage(question, source)
    for position, sentence in enumerate(covered.sentences):
        if sentence.heading and not _tells(sentence.text, question):
            continue
        score, brings = covered.of(position)
        if score >= THRESHOLD:
            yield Quote(source, sentence, min(1.0, score), brings)


def _tells(heading: str, question: Question) -> bool:
    """Whether a line that looks like a heading tells something, as "Port: 8080" does."""
    return bool(re.search(r"[:=|\t\d]", heading)) or any(holds(kind, heading) for kind in question.kinds)


def _lead(source: Source) -> Iterator[Quote]:
    """With nothing to look for, the first whole sentences stand for the text."""
    whole = [s for s in sentences(source.text) if not s.heading and len(s.text) >= _LEAD_CHARS]
    for rank, sentence in enumerate(whole[:MOST_QUOTES]):
        yield Quote(source, sentence, 0.9 - 0.05 * rank, frozenset({str(rank)}))


class _Coverage:
    """How much of a question each sentence of a passage covers."""

    def __init__(self, question: Question, source: Source) -> None:
        self.sentences = sentences(source.text)
        self._question = question
        self._named = frozenset(idea.name for idea in question.ideas if _in_name(idea, source.name))
        self._own = [self._strengths(sentence.text) for sentence in self.sentences]
        self._headings = _headings_above(self.sentences)
        self._first = {
            idea.name: next((at for at, own in enumerate(self._own) if own[idea.name] >= ABOVE), None)
            for idea in question.ideas
        }

    def of(self, position: int) -> tuple[float, frozenset[str]]:
        """The score of a sentence, and what it brings by itself.

        What several clauses say between them counts less than what one clause says.
        """
        sentence, own = self.sentences[position], self._own[position]
        if not self._speaks(own):
            return 0.0, frozenset()
        score = self._share(position, own, sentence.text)
        clauses = [clause for clause in _CLAUSES.split(sentence.text) if clause.strip()]
        if len(clauses) > 1:
            each = [self._share(position, self._strengths(clause), clause) for clause in clauses]
            score = max(*each, SPREAD * score)
        if sentence.heading and re.search(r"[:=|]", sentence.text):
            score += TERSE
        kinds = {kind for kind in self._question.kinds if holds(kind, sentence.text)}
        brings = {name for name, value in own.items() if value >= ABOVE} | kinds
        return score * _brevity(sentence.text), frozenset(brings)

    def _strengths(self, text: str) -> dict[str, float]:
        own = {idea.name: strength(idea, text) for idea in self._question.ideas}
        return {
            idea.name: own[idea.name] if own.get(idea.of or idea.name) else 0.0
            for idea in self._question.ideas
        }

    def _share(self, position: int, own: dict[str, float], text: str) -> float:
        """How much of the question these strengths cover, with what stands around the sentence."""
        question = self._question
        total = sum(idea.weight for idea in question.ideas)
        covered = sum(
            idea.weight * max(own[idea.name], self._borrowed(idea, position)) for idea in question.ideas
        )
        if question.kinds:
            total += question.kind_weight
            covered += question.kind_weight * self._fact(text)
        return covered / total

    def _fact(self, text: str) -> float:
        """1 for a fact of a kind that is wanted, close to an idea of the question; less for one far off."""
        if re.match(r"[^:=]{1,60}[:=]\s*\S*\d", text) and any(map(is_numeric, self._question.kinds)):
            return 1.0
        facts = [place for kind in self._question.kinds for place in found(kind, text)]
        said = [
            m.span() for idea in self._question.ideas if not idea.generic for m in idea.said.finditer(text)
        ]
        near = any(a - NEAR < end and start < b + NEAR for start, end in facts for a, b in said)
        return 1.0 if facts and (near or not said) else FAR_FACT if facts else 0.0

    def _speaks(self, own: dict[str, float]) -> bool:
        """A sentence must say something of its own that is not generic and not just the document's name."""
        return any(
            own[idea.name] >= ABOVE and not idea.generic and idea.name not in self._named
            for idea in self._question.ideas
        ) or (len(self._named) == len(self._question.ideas) and any(own.values()))

    def _borrowed(self, idea: Idea, position: int) -> float:
        if idea.name in self._named:
            return 1.0 if idea.anchor else NAMED
        heading = self._headings[position]
        above = ABOVE if heading is not None and self._own[heading][idea.name] >= ABOVE else 0.0
        before = max(
            (own[idea.name] for own in self._own[max(0, position - LOOK_BACK) : position]), default=0.0
        )
        if idea.anchor:
            first = self._first[idea.name]
            earlier = first is not None and first < position
            return max(above, before * ANCHOR_BEFORE, ANCHOR_ABOVE * earlier)
        return max(above, before * (0.0 if idea.hinted else BEFORE))


def _in_name(idea: Idea, name: str) -> bool:
    words = re.sub(r"[_\-./\\]+|(?<=[a-z])(?=[A-Z])", " ", name)
    return idea.nameable and idea.said.search(words) is not None


def _headings_above(found: Sequence[Sentence]) -> list[int | None]:
    """For each sentence the heading shortly above it."""
    above: list[int | None] = []
    last: int | None = None
    for position, sentence in enumerate(found):
        above.append(last if last is not None and position - last <= HEADING_REACH else None)
        if sentence.heading:
            last = position
    return above


def _brevity(text: str) -> float:
    """Of two sentences that cover the same, the shorter is the better quote."""
    extra = max(0, len(text.split()) - _LENGTHY)
    return 1.0 - 0.12 * min(1.0, extra / 150)


def strength(idea: Idea, text: str) -> float:
    """How plainly a text expresses an idea, from 0 to 1. Several hints together come close to plain words."""
    text = text.replace("_", " ")
    if idea.unless:
        text = idea.unless.sub(" ", text)
    if idea.said.search(text):
        ways = sum(way.search(text) is not None for way in idea.ways)
        return 1.0 - ONE_WAY_LESS * max(0, 3 - ways) if ways else 1.0
    missing = 1.0
    for hint in idea.hinted:
        match = hint.search(text)
        if match and not (idea.against and idea.against.search(clause_around(text, *match.span()))):
            missing *= 1 - HINT
    return 1.0 - missing


def clause_around(text: str, start: int, end: int) -> str:
    """The part of a sentence between semicolons, colons and list marks that holds `[start, end)`."""
    borders = [0, *(match.end() for match in _CLAUSE_BORDER.finditer(text)), len(text)]
    first = max(border for border in borders if border <= start)
    last = min((border for border in borders if border >= end), default=len(text))
    return text[first:last]
