"""One index of the test server: passages by word, ranked with BM25 as Lucene does."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

K1, B = 1.2, 0.75
Scores = dict[str, float]


class Unsupported(ValueError):
    """A query that this server does not know."""


@dataclass
class TextField:
    """One field by word: where each entry has it. counted: how often and where matters, not only whether."""

    longest: int
    counted: bool
    postings: dict[str, dict[str, list[int]]] = field(default_factory=lambda: defaultdict(dict))
    lengths: dict[str, int] = field(default_factory=dict)

    def put(self, entry_id: str, text: str, *, replaces: bool) -> None:
        """Add the field of an entry, or replace it."""
        if replaces:
            for places in self.postings.values():
                places.pop(entry_id, None)
        words = [word for word in text.split() if len(word) <= self.longest]
        self.lengths[entry_id] = len(words)
        for position, word in enumerate(words):
            self.postings[word].setdefault(entry_id, []).append(position)

    def scored(self, word: str, boost: float = 1.0) -> Scores:
        """The entries that have a word."""
        places = self.postings.get(word, {})
        idf = boost * self._idf(len(places))
        return {i: idf * self._weight(len(found) if self.counted else 1, i) for i, found in places.items()}

    def phrase(self, words: list[str], boost: float) -> Scores:
        """The entries that have words in a row."""
        places = {i: self._starts(words, i) for i in self.postings.get(words[0], {})}
        idf = boost * sum(self._idf(len(self.postings.get(word, {}))) for word in words)
        return {i: idf * self._weight(len(starts), i) for i, starts in places.items() if starts}

    def _starts(self, words: list[str], entry_id: str) -> set[int]:
        starts = set(self.postings[words[0]][entry_id])
        for distance, word in enumerate(words):
            starts &= {position - distance for position in self.postings.get(word, {}).get(entry_id, ())}
        return starts

    def _idf(self, count: int) -> float:
        return math.log(1 + (len(self.lengths) - count + 0.5) / (count + 0.5))

    def _weight(self, frequency: int, entry_id: str) -> float:
        average = sum(self.lengths.values()) / max(1, len(self.lengths))
        norm = K1 * (1 - B + B * self.lengths[entry_id] / max(average, 1.0))
        return frequency * (K1 + 1) / (frequency + norm)


@dataclass
class Index:
    """What was put, by id; `text` fields are split at spaces, as their analyzer says."""

    settings: Mapping[str, Any]
    mappings: dict[str, Any]
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    texts: dict[str, TextField] = field(default_factory=dict)
    refreshed: bool = False

    def __post_init__(self) -> None:
        self.mapped({})

    def mapped(self, changes: Mapping[str, Any]) -> None:
        """Change the mappings."""
        self.mappings.update(changes)
        for name, kind in self.mappings.get("properties", {}).items():
            if kind["type"] == "text" and name not in self.texts:
                counted = kind.get("index_options") != "docs"
                self.texts[name] = TextField(self._longest(), counted)

    def put(self, entry_id: str, entry: dict[str, Any]) -> None:
        """Add an entry, or replace it."""
        for name, text in self.texts.items():
            text.put(entry_id, str(entry.get(name, "")), replaces=entry_id in self.entries)
        self.entries[entry_id], self.refreshed = entry, False

    def _longest(self) -> int:
        filters = self.settings.get("analysis", {}).get("filter", {})
        return min((f["max"] for f in filters.values() if f.get("type") == "length"), default=1 << 31)

    def search(self, query: Mapping[str, Any], size: int) -> list[tuple[float, str]]:
        """Scores and ids, best first. What was not refreshed is not found. Raises `Unsupported`."""
        found = self._evaluate(query) if self.refreshed else {}
        return sorted(((score, entry_id) for entry_id, score in found.items()), key=_rank)[:size]

    def _evaluate(self, query: Mapping[str, Any]) -> Scores:
        ((kind, body),) = query.items()
        known: dict[str, Callable[[Any], Scores]] = {
            "bool": self._bool,
            "dis_max": self._dis_max,
            "term": self._term,
            "terms": self._terms,
            "range": self._range,
            "match_phrase": self._phrase,
            "prefix": self._prefix,
        }
        if kind not in known:
            raise Unsupported(f"unknown query [{kind}]")
        return known[kind](body)

    def _bool(self, body: Mapping[str, Any]) -> Scores:
        must = [self._evaluate(query) for query in body.get("must", ())]
        should = [self._evaluate(query) for query in body.get("should", ())]
        filters = [self._evaluate(query) for query in body.get("filter", ())]
        least = body.get("minimum_should_match", 0 if must or filters else 1)
        counts = Counter(entry_id for scores in should for entry_id in scores)
        found = {
            entry_id
            for entry_id in self.entries
            if all(entry_id in scores for scores in (*must, *filters)) and counts[entry_id] >= least
        }
        return {i: sum(scores.get(i, 0.0) for scores in (*must, *should)) for i in found}

    def _dis_max(self, body: Mapping[str, Any]) -> Scores:
        return _best(self._evaluate(query) for query in body["queries"])

    def _term(self, body: Mapping[str, Any]) -> Scores:
        ((name, wanted),) = body.items()
        if name in self.texts:
            return self.texts[name].scored(wanted["value"], wanted.get("boost", 1.0))
        return {i: 1.0 for i, entry in self.entries.items() if entry[name] == wanted["value"]}

    def _terms(self, body: Mapping[str, Any]) -> Scores:
        ((name, values),) = body.items()
        return {i: 1.0 for i, entry in self.entries.items() if entry[name] in values}

    def _range(self, body: Mapping[str, Any]) -> Scores:
        ((name, bounds),) = body.items()
        tests = {"gt": float.__gt__, "gte": float.__ge__, "lt": float.__lt__, "lte": float.__le__}
        return {
            i: 1.0
            for i, entry in self.entries.items()
            if all(tests[test](float(entry[name]), float(bound)) for test, bound in bounds.items())
        }

    def _phrase(self, body: Mapping[str, Any]) -> Scores:
        ((name, wanted),) = body.items()
        text = self.texts[name]
        if not text.counted:
            raise Unsupported(f"field:[{name}] was indexed without position data")
        return text.phrase(wanted["query"].split(), wanted.get("boost", 1.0))

    def _prefix(self, body: Mapping[str, Any]) -> Scores:
        ((name, wanted),) = body.items()
        text = self.texts[name]
        begun = [word for word in text.postings if word.startswith(wanted["value"])]
        if not wanted.get("rewrite", "").startswith("top_terms_"):
            return {i: 1.0 for word in begun for i in text.postings[word]}
        most = int(wanted["rewrite"].removeprefix("top_terms_"))
        common = sorted(begun, key=lambda word: -len(text.postings[word]))[:most]
        return _best(text.scored(word) for word in common)


def _best(each: Iterable[Scores]) -> Scores:
    best: Scores = {}
    for scores in each:
        for entry_id, score in scores.items():
            best[entry_id] = max(score, best.get(entry_id, 0.0))
    return best


def _rank(found: tuple[float, str]) -> tuple[float, str]:
    return -found[0], found[1]
