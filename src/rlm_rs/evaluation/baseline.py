"""The direct baseline: all documents in a model's window and the question after them, in one call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources

from rlm_rs.core.corpus import Document
from rlm_rs.core.model import Message, ModelRequest
from rlm_rs.core.tokens import MARGIN, estimated_tokens, tokens_of_lengths

BASELINE_TOKENS = 8192
"""What the answer may come to."""
MISSING, UNKNOWN, EXCEEDED = "MISSING_PARSED_TEXT", "UNKNOWN_CONTEXT_WINDOW", "CONTEXT_WINDOW_EXCEEDED"


def why_not_asked(documents: Sequence[Document], question: str, window: int | None) -> str | None:
    """The code of what is in the way of asking over readable documents, None if nothing is; calls nothing.

    window: tokens of the model's context, None if they are not known.
    """
    if not documents:
        return MISSING
    if window is None:
        return UNKNOWN
    asked = estimated_tokens(question) + estimated_tokens(instructions())
    whole = sum(tokens_of_lengths(document.char_length, document.byte_length) for document in documents)
    return EXCEEDED if MARGIN * (whole + asked) + BASELINE_TOKENS > window else None


def baseline_request(
    model: str, question: str, texts: Iterable[tuple[str, str]], temperature: float | None = None
) -> ModelRequest:
    """The one call. texts: the name and the whole text of each document."""
    parts = [f"<document {name}>\n{text}\n</document>" for name, text in texts]
    asked = "\n\n".join([*parts, f"QUESTION\n{question}"])
    messages = (Message("system", instructions()), Message("user", asked))
    return ModelRequest(model, messages, BASELINE_TOKENS, temperature)


@cache
def instructions() -> str:
    """The system message."""
    return (resources.files(__package__) / "prompts" / "baseline.txt").read_text(encoding="utf-8")
