"""The words of `words.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources


@cache
def words(kind: str) -> Mapping[str, Sequence[str]]:
    """The lists of words for one kind of text."""
    place = resources.files(__package__) / "words.toml"
    found: Mapping[str, Mapping[str, Sequence[str]]] = tomllib.loads(place.read_text(encoding="utf-8"))
    return found[kind]
