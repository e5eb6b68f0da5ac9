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
class Index:
    """What was put, by id; `text` fields are split at spaces, as their analyzer says."""

    settings: Mapping[str, Any]
    mappings: dict[str, Any]
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    postings: dict[str, dict[str, list[int]]] = field(default_factory=lambda: defaultdict(dict))
    lengths: dict[str, int] = field(default_factory=dict)
    refreshed: bool = False

    def put(self, entry_id: str, entry: dict[str, Any]) -> None:
        """Add an entry, or replace it."""
        if entry_id in self.entries:
            for places in self.postings.values():
                places.pop(entry_id, None)
        self.entries[entry_id], self.refreshed = entry, False
        words = [word for word in str(entry["words"]).split() if len(word) <= self._longest()]
        self.lengths[entry_id] = len(words)
        for position, word in enumerate(words):
            self.postings[word].setdefault(entry_id, []).append(position)

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
        if name == "words":
            return self._scored(self.postings.get(wanted["value"], {}))
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
        ((_, wanted),) = body.items()
        words = wanted["query"].split()
        places = {i: self._starts(words, i) for i in self.postings.get(words[0], {})}
        idf = sum(self._idf(len(self.postings.get(word, {}))) for word in words)
        boost = wanted.get("boost", 1.0)
        return {i: boost * idf * self._weight(len(starts), i) for i, starts in places.items() if starts}

    def _starts(self, words: list[str], entry_id: str) -> set[int]:
        starts = set(self.postings[words[0]][entry_id])
        for distance, word in enumerate(words):
            starts &= {position - distance for position in self.postings.get(word, {}).get(entry_id, ())}
        return starts

    def _prefix(self, body: Mapping[str, Any]) -> Scores:
        ((_, wanted),) = body.items()
        begun = [word for word in self.postings if word.startswith(wanted["value"])]
        if not wanted.get("rewrite", "").startswith("top_terms_"):
            return {i: 1.0 for word in begun for i in self.postings[word]}
        most = int(wanted["rewrite"].removeprefix("top_terms_"))
        common = sorted(begun, key=lambda word: -len(self.postings[word]))[:most]
        return _best(self._scored(self.postings[word]) for word in common)

    def _scored(self, places: Mapping[str, list[int]]) -> Scores:
        idf = self._idf(len(places))
        return {entry_id: idf * self._weight(len(found), entry_id) for entry_id, found in places.items()}

    def _idf(self, count: int) -> float:
        return math.log(1 + (len(self.entries) - count + 0.5) / (count + 0.5))

    def _weight(self, frequency: int, entry_id: str) -> float:
        average = sum(self.lengths.values()) / max(1, len(self.lengths))
        norm = K1 * (1 - B + B * self.lengths[entry_id] / max(average, 1.0))
        return frequency * (K1 + 1) / (frequency + norm)


def _best(each: Iterable[Scores]) -> Scores:
    best: Scores = {}
    for scores in each:
        for entry_id, score in scores.items():
            best[entry_id] = max(score, best.get(entry_id, 0.0))
    return best


def _rank(found: tuple[float, str]) -> tuple[float, str]:
    return -found[0], found[1]
