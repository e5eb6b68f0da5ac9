"""What a question asks for: the ideas a passage must bring together, and the kind of fact that answers it.

Nothing here knows any document. The ideas come from the question's own words and a general thesaurus.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from importlib import resources

from rlm_rs.providers.fake_kinds import kinds_asked
from rlm_rs.providers.fake_phrases import (
    ANYTHING,
    either,
    forms,
    pattern,
    pieces,
    places_of,
    scannable,
    stem_of,
)
from rlm_rs.providers.fake_words import DOCUMENT_WORDS, LISTED_WORDS, STOP_WORDS, VAGUE_WORDS

NAME_WEIGHT = 1.8
PHRASE_WEIGHT = 2.0
PLAIN_WEIGHT = 1.0
VAGUE_WEIGHT = 0.4
GENERIC_WEIGHT = 0.5
DECISIVE_WEIGHT = 1.5
KIND_WEIGHT = 0.6
UNDERSTOOD_CHARS = 4_000
SECONDARY = 0.6
LEADING = 1.5

_TOKEN = re.compile(r"[^\W_]+(?:[._/'’&-][^\W_]+)*|\w+", re.UNICODE)
_QUOTED = re.compile(r"[\"“”`]([^\"“”`\n]{2,80})[\"“”`]")


_PLURALS = "|".join(sorted(LISTED_WORDS | {word for word in DOCUMENT_WORDS if word.endswith("s")}))
_SEVERAL = "|".join(sorted(word for word in LISTED_WORDS | DOCUMENT_WORDS if word.endswith("s")))
_LISTING = re.compile(
    r"^\s*(?:list|name|enumerate|find all)\b|\b(?:all|each|every) of\b|\beach\b|\bevery\b|"
    r"\b(?:which|what|how many|all|any) (?:of )?(?:the |these |those |other )?(?:\w+ ){0,2}?"
    rf"(?:{_PLURALS})\b|\b(?:the|these|those|our|my) (?:{_SEVERAL})\b",
    re.IGNORECASE,
)
_OVERVIEW = re.compile(
    r"\bsummar|\boverview\b|\bgist\b|\bmain (?:points?|ideas?|topics?|themes?)\b|"
    r"\bkey (?:points?|takeaways?)\b|"
    r"what (?:is|are|does) (?:\S+ ){0,5}?about\b|what do(?:es)? (?:\S+ ){1,4}?(?:say|contain|cover)\W*$",
    re.IGNORECASE,
)
_WHO_DOES = re.compile(
    r"(?:who|whom|what|which \w+|how many \w+|name)\s+"
    r"(?:(?:has|have|had|was|were|is|are|will|can|may|must)\s+)*"
    r"(?!(?:is|was|are|were|does|did|do|has|have|had|will|can|may|must|the|an?|of)\b)(?=[a-z])",
    re.IGNORECASE,
)
_WHEN_DONE = re.compile(
    r"(?:when|where|why|how)\s+(?:has|have|had|was|were|is|are|does|did|do)\b", re.IGNORECASE
)
_BESIDES = re.compile(
    r",?\s+and\s+(?=(?:(?:on|in|at|by|for|with|to|under|from|if so)\s+)?"
    r"(?:what|how|when|who|which|where|why|whose)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Idea:
    """One thing a passage may say: `said` plainly or `hinted` at, unless the clause speaks `against`.

    ways: the phrases of `said` one by one, where a text that uses several of them says it more surely.
    unless: what looks like it and is not. of: the idea it qualifies and without which it says nothing.
    anchor: a name or number of the question, which cannot be said in other words.
    nameable: whether the name of a document can express it for all of its text.
    generic: whether it says next to nothing about what is asked.
    scan: patterns for searching everything. literal: a word that must be there, for faster search.
    """

    name: str
    weight: float
    said: re.Pattern[str]
    ways: tuple[re.Pattern[str], ...] = ()
    hinted: tuple[re.Pattern[str], ...] = ()
    against: re.Pattern[str] | None = None
    unless: re.Pattern[str] | None = None
    of: str | None = None
    anchor: bool = False
    nameable: bool = False
    generic: bool = False
    scan: tuple[str, ...] = ()
    literal: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question understood as far as the offline policy can.

    kinds: the kinds of fact wanted, and how much they weigh. listing: one answer per document is wanted.
    overview: a summary is.
    """

    text: str
    ideas: tuple[Idea, ...] = ()
    kinds: tuple[str, ...] = ()
    kind_weight: float = KIND_WEIGHT
    listing: bool = False
    overview: bool = False


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    weight: float
    asked: tuple[re.Pattern[str], ...]
    said: tuple[str, ...]
    hinted: tuple[str, ...]
    against: tuple[str, ...]
    unless: tuple[str, ...]
    of: str | None
    find: tuple[str, ...]


@dataclass(slots=True)
class _Claim:
    """A thesaurus entry raised by words of the question."""

    entry: _Entry
    places: frozenset[int]
    also: list[_Entry] = field(default_factory=list)


@cache
def _thesaurus() -> tuple[_Entry, ...]:
    path = resources.files(__package__) / "fake_thesaurus.toml"
    raw = tomllib.loads(path.read_text(encoding="utf-8"))["idea"]
    return tuple(
        _Entry(
            name=entry["name"],
            weight=float(entry.get("weight", PLAIN_WEIGHT)),
            asked=tuple(pieces(phrase) for phrase in entry["asked"]),
            said=tuple(entry["said"]),
            hinted=tuple(entry.get("hinted", ())),
            against=tuple(entry.get("against", ())),
            unless=tuple(entry.get("unless", ())),
            of=entry.get("of"),
            find=tuple(entry.get("find", ())),
        )
        for entry in raw
    )


@lru_cache(maxsize=256)
def understand(text: str) -> Question:
    """Take a question apart; of a very long one the end, where what is asked stands."""
    text = text.strip()[-UNDERSTOOD_CHARS:]
    main = _main_part(text)
    return Question(
        text=text,
        ideas=tuple(_ideas(text, len(main))),
        kinds=kinds_asked(text),
        kind_weight=KIND_WEIGHT if kinds_asked(main) else KIND_WEIGHT * SECONDARY,
        listing=bool(_LISTING.search(text)),
        overview=bool(_OVERVIEW.search(text)),
    )


def _main_part(text: str) -> str:
    """The question without what it asks besides, as in "Who may cancel, and on what notice?" """
    match = _BESIDES.search(text)
    return text[: match.start()] if match else text


def _ideas(text: str, main: int) -> Iterator[Idea]:
    """The ideas in the order of the question, each once; what is asked besides weighs less."""
    quoted = list(_QUOTED.finditer(text))
    taken = {place for match in quoted for place in range(*match.span())}
    claims = _claims(text, taken)
    taken = taken.union(*(claim.places for claim in claims))
    found = [(match.start(), _quotation(match)) for match in quoted]
    found += [(min(claim.places), _from_claim(claim)) for claim in claims]
    found += _from_words(text, taken)
    done = _what_is_done(text, [(at, idea) for at, idea in found if at < main])
    seen = set()
    for at, idea in sorted(found, key=lambda pair: pair[0]):
        if idea.said.pattern not in seen:
            seen.add(idea.said.pattern)
            leading = at == done and not idea.anchor
            factor = SECONDARY if at >= main else LEADING if leading else 1.0
            yield replace(idea, weight=idea.weight * factor)


def _what_is_done(text: str, found: Sequence[tuple[int, Idea]]) -> int:
    """Where the verb stands in "Who bought the house?" or "When was it bought?", -1 if there is none."""
    match = _WHO_DOES.match(text)
    if match:
        return match.end()
    if not _WHEN_DONE.match(text):
        return -1
    return max((at for at, idea in found if not (idea.anchor or idea.generic)), default=-1)


def _claims(text: str, taken: set[int]) -> list[_Claim]:
    """Thesaurus entries the question raises; of overlapping ones the longer phrase, equal ones together."""
    found = [
        _Claim(entry, places_of(match))
        for entry in _thesaurus()
        for asked in entry.asked
        for match in asked.finditer(text)
    ]
    kept: list[_Claim] = []
    for claim in sorted(found, key=lambda claim: -len(claim.places)):
        if not claim.places & taken:
            _place(claim, kept)
    raised = {claim.entry.name for claim in kept}
    return [claim for claim in kept if claim.entry.of is None or claim.entry.of in raised]


def _place(claim: _Claim, kept: list[_Claim]) -> None:
    for other in kept:
        if claim.entry in (other.entry, *other.also):
            other.places |= claim.places
            return
        if claim.places == other.places:
            other.also.append(claim.entry)
            return
        if claim.places & other.places:
            return
    kept.append(claim)


def _from_claim(claim: _Claim) -> Idea:
    entries = [claim.entry, *claim.also]
    said = [phrase for entry in entries for phrase in entry.said]
    hinted = [phrase for entry in entries for phrase in entry.hinted]
    against = [phrase for entry in entries for phrase in entry.against]
    unless = [phrase for entry in entries for phrase in entry.unless]
    return Idea(
        name=" or ".join(entry.name for entry in entries),
        weight=max(entry.weight for entry in entries),
        said=either(said),
        ways=tuple(either([phrase]) for phrase in said) if claim.entry.weight >= DECISIVE_WEIGHT else (),
        hinted=tuple(either([phrase]) for phrase in hinted),
        against=either(against) if against else None,
        unless=either(unless) if unless else None,
        of=claim.entry.of,
        generic=max(entry.weight for entry in entries) <= GENERIC_WEIGHT,
        scan=tuple(scannable(phrase) for entry in entries for phrase in _to_find(entry)),
    )


def _to_find(entry: _Entry) -> Iterable[str]:
    """What to search whole texts for: phrases with a gap only where nothing else is said."""
    whole = [phrase for phrase in (*entry.said, *entry.hinted) if ANYTHING not in phrase]
    return entry.find or whole


def _quotation(match: re.Match[str]) -> Idea:
    words = match.group(1)
    loose = re.compile(pattern(words), re.IGNORECASE)
    return Idea(
        f'"{words}"',
        PHRASE_WEIGHT,
        loose,
        anchor=True,
        scan=(scannable(words),),
        literal=max(words.split(), key=len),
    )


def _from_words(text: str, taken: set[int]) -> Iterator[tuple[int, Idea]]:
    """Names (runs of capitalised words) as one idea, other content words as one each."""
    run: list[re.Match[str]] = []
    for match in _TOKEN.finditer(text):
        free = match.start() not in taken
        named = free and _is_name(match, text)
        if run and not (named and text[run[-1].end() : match.start()] == " "):
            yield run[0].start(), _name(run)
            run = []
        if named:
            run.append(match)
        elif free and (idea := _plain(match.group())):
            yield match.start(), idea
    if run:
        yield run[0].start(), _name(run)


def _is_name(match: re.Match[str], text: str) -> bool:
    word = match.group()
    if word.lower() in STOP_WORDS:
        return False
    if any(char.isdigit() for char in word) or re.search(r"[a-z_][A-Z]|_", word):
        return True
    if not word[0].isupper():
        return False
    opens = not text[: match.start()].strip() or text[: match.start()].rstrip()[-1] in ".?!:\n"
    return not opens or word.isupper() or not _follows_like_prose(text, match)


def _follows_like_prose(text: str, match: re.Match[str]) -> bool:
    """Whether a capitalised first word is followed by a lower-case one, so that its capital means nothing."""
    following = _TOKEN.search(text, match.end())
    return following is None or not following.group()[0].isupper()


def _name(run: Sequence[re.Match[str]]) -> Idea:
    """A name, which its parts hint at: "Keller" at Maria Keller, "putheader" at HTTPConnection.putheader."""
    words = [match.group() for match in run]
    whole = _SPACES.join(map(re.escape, words))
    parts = [part for part in re.split(r"[\s._/-]+", " ".join(words)) if len(part) > 3]
    hints = [rf"(?:\b|_){re.escape(part)}(?:\b|_)" for part in parts if part != words[0] or len(words) > 1]
    marked = len(words) > 1 or any(char.isdigit() for char in words[-1])
    return Idea(
        " ".join(words),
        NAME_WEIGHT if marked else NAME_WEIGHT - 0.2,
        re.compile(rf"\b{whole}(?:['’]s)?(?!\w)", re.IGNORECASE),
        hinted=tuple(re.compile(hint, re.IGNORECASE) for hint in hints),
        anchor=True,
        nameable=True,
        scan=(rf"\b{whole}\b", *hints),
        literal=max(parts or words, key=len),
    )


_SPACES = r"[\s-]+"


def _plain(word: str) -> Idea | None:
    lower = re.sub(r"['’]s$", "", word.lower())
    if lower in STOP_WORDS or lower in DOCUMENT_WORDS or len(lower) < 2:
        return None
    vague = lower in VAGUE_WORDS or lower.rstrip("s") in VAGUE_WORDS
    weight = VAGUE_WEIGHT if vague else PLAIN_WEIGHT
    form = forms(lower)
    said = re.compile(form, re.IGNORECASE)
    return Idea(lower, weight, said, nameable=True, generic=vague, scan=(form,), literal=stem_of(lower))
