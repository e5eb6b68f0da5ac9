"""The embeddings that the OpenAI test server serves by default: texts that share words are close."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rlm_rs.core.words import words_of

DIMENSIONS = 64

Embed = Callable[[str], Sequence[float]]


def hashed_vector(text: str) -> list[float]:
    """A unit vector from the words of a text, the same on every machine."""
    vector = [0.0] * DIMENSIONS
    for word in words_of(text):
        digest = hashlib.sha256(word.encode("utf-8", "replace")).digest()
        vector[digest[0] % DIMENSIONS] += 1.0 if digest[1] % 2 else -1.0
    length = math.hypot(*vector) or 1.0
    return [value / length for value in vector]


def embeddings_body(body: Any, embed: Embed) -> Mapping[str, Any] | None:
    """What a request for embeddings is answered with; None if it is none."""
    if not isinstance(body, Mapping) or not isinstance(body.get("input"), list | str):
        return None
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    tokens = sum(len(str(text)) // 4 + 1 for text in texts)
    data = [
        {"object": "embedding", "index": number, "embedding": list(embed(str(text)))}
        for number, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": body.get("model"), "data": data, "usage": usage}
