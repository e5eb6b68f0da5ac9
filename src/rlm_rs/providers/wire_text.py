"""Text that crosses the wire: what may be sent, and what may be shown of what came back."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

_LONE_SURROGATES = re.compile("[\ud800-\udfff]")
_KEY = re.compile(r"\b(sk|gsk|xai)-[\w*.\-]{3,}|\bBearer\s+\S+", re.IGNORECASE)
MAX_QUOTED_CHARS = 300


def scalar_text(text: str) -> str:
    """The text with U+FFFD for lone surrogates, which UTF-8 cannot carry."""
    return _LONE_SURROGATES.sub("�", text)


def sendable(value: Any) -> Any:
    """A JSON value that can be sent: lone surrogates replaced, null for numbers JSON does not have."""
    if isinstance(value, str):
        return scalar_text(value)
    if isinstance(value, Mapping):
        return {scalar_text(str(key)): sendable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [sendable(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def quoted(text: str, secrets: tuple[str, ...] = ()) -> str:
    """A provider's message on one line, cut, and without anything that is or looks like a key."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "[key]")
    line = " ".join(_KEY.sub("[key]", text).split())
    return line if len(line) <= MAX_QUOTED_CHARS else line[: MAX_QUOTED_CHARS - 1] + "…"
