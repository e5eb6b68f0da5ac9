"""Word lists of the offline policy."""

from __future__ import annotations

import tomllib
from importlib import resources


def _raw() -> dict[str, str]:
    path = resources.files(__package__) / "fake_words.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


_LISTS = {name: frozenset(words.split()) for name, words in _raw().items()}

STOP_WORDS = _LISTS["stop"]
VAGUE_WORDS = _LISTS["vague"]
DOCUMENT_WORDS = _LISTS["document"]
LISTED_WORDS = _LISTS["listed"]
ABBREVIATIONS = _LISTS["abbreviations"]

IRREGULAR: dict[str, tuple[str, ...]] = {
    word: tuple(line.split()) for line in _raw()["irregular"].splitlines() for word in line.split()
}
"""Each form of an irregular word with all of its forms."""
