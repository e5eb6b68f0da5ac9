"""How much a reply may hold. Clients cut long replies off themselves, where it suits nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

ANSWER_TOKENS = 2_000
"""A whole reply of `ask`, as text and as JSON each."""

PIECE_TOKENS = 1_200
"""A piece of an answer or of a document."""

ERROR_CHARS = 4_000
"""Of an error's words, among them those that code of a step gave it."""

CHARS_PER_TOKEN = 3
"""Of ASCII text, ids and checksums among it; prose takes fewer tokens, so the estimate is a safe one."""

MARK = " …"


def tokens(text: str) -> int:
    """About how many tokens a text is: at most one a character outside ASCII, fewer inside."""
    ascii_chars = len(text.encode("ascii", "ignore"))
    return -(-ascii_chars // CHARS_PER_TOKEN) + len(text) - ascii_chars


def first(text: str, most: int) -> str:
    """The beginning of a text that is `most` tokens long at most."""
    low, high = 0, min(len(text), most * CHARS_PER_TOKEN)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if tokens(text[:middle]) <= most else (low, middle - 1)
    return text[:low]


def cut(text: str, chars: int) -> str:
    """The beginning of a text, with a mark where it does not end."""
    return text if len(text) <= chars else text[:chars] + MARK


def on_one_line(text: str, chars: int) -> str:
    """The beginning of a text, on one line."""
    flat = " ".join(text[: 4 * chars].split())
    return flat if len(flat) <= chars and len(text) <= 4 * chars else flat[:chars].rstrip() + MARK


def json_tokens(value: Any) -> int:
    """About how many tokens a JSON value is."""
    return tokens(_json(value))


def json_chars(value: Any) -> int:
    """How many characters a JSON value is."""
    return len(_json(value))


def fitted(values: Mapping[str, Any], most_chars: int) -> dict[str, Any]:
    """A JSON object with its largest values replaced by a word on them, as many as it takes to fit."""
    sizes = {name: len(_json(value)) for name, value in values.items()}
    total, kept = sum(sizes.values()), dict(values)
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if total <= most_chars:
            break
        kept[name] = f"({type(values[name]).__name__} of {sizes[name]:,} characters, left out of this reply)"
        total -= sizes[name]
    return kept


def _json(value: Any) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
