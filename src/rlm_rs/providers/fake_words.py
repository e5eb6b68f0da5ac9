"""Word lists of the offline policy."""

from __future__ import annotations

import tomllib
from importlib import resources


def _lists() -> dict[str, frozenset[str]]:
    path = resources.files(__package__) / "fake_words.toml"
    raw: dict[str, str] = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: frozenset(words.split()) for name, words in raw.items()}


_LISTS = _lists()

STOP_WORDS = _LISTS["stop"]
VAGUE_WORDS = _LISTS["vague"]
DOCUMENT_WORDS = _LISTS["document"]
LISTED_WORDS = _LISTS["listed"]
ABBREVIATIONS = _LISTS["abbreviations"]
