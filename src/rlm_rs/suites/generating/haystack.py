"""Text to hide things in: paragraphs of a corpus, or plain sentences where none is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from textwrap import indent

from rlm_rs.suites.generating.words import words

SEPARATOR = "\n\n"
SHORTEST_PARAGRAPH = 40
DOCUMENT_CHARS = 40_000
"""About how long a generated document is; a longer haystack is more documents."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A passage in a generated document: `[start_char, end_char)` of its text."""

    source_name: str
    start_char: int
    end_char: int
    text: str


@dataclass(frozen=True, slots=True)
class Hay:
    """Documents by name, and where the passages hidden in them stand, in the order they were given."""

    documents: dict[str, str]
    placed: tuple[Placed, ...]


class Haystack:
    """An endless source of paragraphs, the same for the same seed. prefix: what their lines begin with."""

    def __init__(self, paragraphs: Sequence[str], random: Random, prefix: str = "") -> None:
        self._paragraphs = [text for text in paragraphs if len(text) >= SHORTEST_PARAGRAPH]
        self._random = random
        self._prefix = prefix

    def hide(self, passages: Sequence[str], length: int, extension: str = "txt") -> Hay:
        """About `length` characters of paragraphs in which the passages stand at random places."""
        chosen = self._about(length - sum(len(passage) + len(SEPARATOR) for passage in passages))
        slots = sorted(self._random.randrange(len(chosen) + 1) for _ in passages)
        order = self._random.sample(range(len(passages)), len(passages))
        hidden: dict[int, list[int]] = {}
        for slot, number in zip(slots, order, strict=True):
            hidden.setdefault(slot, []).append(number)
        return _written(chosen, hidden, passages, extension)

    def _about(self, length: int) -> list[str]:
        chosen: list[str] = []
        for paragraph in self._endless():
            if length <= 0:
                break
            chosen.append(indent(paragraph, self._prefix))
            length -= len(chosen[-1]) + len(SEPARATOR)
        return chosen

    def _endless(self) -> Iterator[str]:
        while True:
            if self._paragraphs:
                yield from self._random.sample(self._paragraphs, len(self._paragraphs))
            else:
                yield " ".join(self._sentence() for _ in range(self._random.randint(3, 7)))

    def _sentence(self) -> str:
        parts = (self._random.choice(choices) for choices in words("prose").values())
        return " ".join(parts) + "."


def paragraphs_of(text: str) -> list[str]:
    """A text's paragraphs: what stands between empty lines."""
    return [part.strip() for part in text.split(SEPARATOR) if part.strip()]


def _written(
    chosen: Sequence[str], hidden: dict[int, list[int]], passages: Sequence[str], extension: str
) -> Hay:
    """Lay out paragraphs and passages in documents, noting where each passage comes to stand."""
    documents: dict[str, list[str]] = {}
    placed: dict[int, Placed] = {}
    name, used = "", DOCUMENT_CHARS
    for slot in range(len(chosen) + 1):
        pieces = [(number, passages[number]) for number in hidden.get(slot, ())]
        pieces += [(-1, chosen[slot])] if slot < len(chosen) else []
        for number, piece in pieces:
            if used >= DOCUMENT_CHARS:
                name, used = f"part-{len(documents) + 1:04d}.{extension}", 0
                documents[name] = []
            if number >= 0:
                placed[number] = Placed(name, used, used + len(piece), piece)
            documents[name].append(piece)
            used += len(piece) + len(SEPARATOR)
    whole = {name: SEPARATOR.join(pieces) + "\n" for name, pieces in documents.items()}
    return Hay(whole, tuple(placed[number] for number in range(len(passages))))
