"""What a search asks and what it finds; how a query in words is read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from rlm_rs.core.words import asked_words, is_lone, is_paired, words_in_a_row, words_of

MAX_QUERY_CHARS = 4_000
MAX_QUERY_WORDS = 200
PREVIEW_CHARS = 240
_STEP, _WORD = 80, 16
_SPACE = re.compile(r"\s+")

_QUOTES = '"“”„«»「」『』'
_PIECE = re.compile(f"[{_QUOTES}]([^{_QUOTES}]+)[{_QUOTES}]|([^\\s{_QUOTES}]+)")


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A passage that was found. A higher score is better; scores of different queries do not compare."""

    score: float
    doc_index: int
    start_char: int
    end_char: int


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A query as it was understood, its words as `core.words` has them.

    words: any of them makes a passage a hit, and each that it holds makes it a better one. runs: words that
    were written as one (`INV-2024`); a passage that has them in a row is better still. prefixes:
    beginnings of words. phrases: words that a hit holds in a row. Words of scripts that are indexed in pairs
    are looked for wherever a passage has them: `in_a_row` says which order matters.
    """

    words: tuple[str, ...] = ()
    runs: tuple[tuple[str, ...], ...] = ()
    prefixes: tuple[str, ...] = ()
    phrases: tuple[tuple[str, ...], ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to look for."""
        return not (self.words or self.prefixes or self.phrases)


def in_a_row(row: Sequence[str]) -> list[tuple[str, ...]]:
    """A phrase as an index can look for it: words in their order, each pair of characters by itself."""
    parts: list[tuple[str, ...]] = []
    for paired, group in groupby(row, key=is_paired):
        words = tuple(group)
        parts += [(word,) for word in words] if paired else [words]
    return parts


def read_query(text: str) -> SearchQuery:
    """Understand a query. Every text is one: what is neither word, quotation nor `word*` is left out.

    Only the first MAX_QUERY_CHARS characters and MAX_QUERY_WORDS words and beginnings of words count.
    """
    words: dict[str, None] = {}
    runs: dict[tuple[str, ...], None] = {}
    prefixes: dict[str, None] = {}
    phrases: dict[tuple[str, ...], None] = {}
    for quoted, piece in _pieces(text[:MAX_QUERY_CHARS]):
        if len(words) + len(prefixes) + sum(map(len, phrases)) >= MAX_QUERY_WORDS:
            break
        found = tuple(asked_words(quoted or piece)[:MAX_QUERY_WORDS])
        if not found:
            continue
        if len(found) == 1 and (is_lone(found[0]) or piece.endswith("*")):
            prefixes[found[0]] = None
        elif quoted:
            phrases[tuple(words_in_a_row(quoted)[:MAX_QUERY_WORDS])] = None
        else:
            words.update(dict.fromkeys(found))
            if len(found) > 1 and not all(map(is_paired, found)):
                runs[tuple(words_in_a_row(piece)[:MAX_QUERY_WORDS])] = None
    return SearchQuery(tuple(words), tuple(runs), tuple(prefixes), tuple(phrases))


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Each quotation, or else each run without spaces."""
    for match in _PIECE.finditer(text):
        yield match.group(1) or "", match.group(2) or ""


def preview(passage: str, query: SearchQuery) -> str:
    """The stretch of a passage, PREVIEW_CHARS at most, that holds the most words of the query."""
    if len(passage) <= PREVIEW_CHARS:
        return passage
    quoted = {word for phrase in query.phrases for word in phrase}
    wanted = quoted.union(query.words)
    # each step with the end of the word that begins in it, once; a stretch is three of them
    steps = [
        _held(passage[at : at + _STEP + _WORD], wanted, query.prefixes)
        for at in range(0, len(passage), _STEP)
    ]
    counts = [
        len(held) + len(held & quoted)
        for held in (steps[n].union(*steps[n + 1 : n + 3]) for n in range(max(1, len(steps) - 2)))
    ]
    best = _STEP * counts.index(max(counts))
    # not from the middle of a word, where a space is near
    space = _SPACE.search(passage, best, best + _WORD) if best else None
    start = space.end() if space else best
    return passage[start : start + PREVIEW_CHARS]


def _held(text: str, wanted: set[str], prefixes: Sequence[str]) -> set[str]:
    """The wanted words, and the beginnings of words, that a text has."""
    words = words_of(text)
    begun = {prefix for prefix in prefixes if any(word.startswith(prefix) for word in words)}
    return begun.union(wanted.intersection(words))
