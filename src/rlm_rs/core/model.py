"""What is said to a model and what it says back, whoever provides it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One completion asked of a model.

    max_tokens bounds the output (None: the provider's own bound). temperature None leaves it to the
    model. schema is a JSON Schema for the reply. timeout is in seconds and covers one attempt.
    """

    model: str
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    schema: Mapping[str, Any] | None = None
    timeout: float | None = None

    @property
    def prompt_chars(self) -> int:
        """Characters of all messages together."""
        return sum(len(message.content) for message in self.messages)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one completion as the provider counted them. Cached input is part of the input."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A native tool call in a reply: its name and its arguments as the provider sent them."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ModelReply:
    """One completion. `reasoning` is the model's own thinking where it is sent apart from the text.

    usage is None when the provider sent none; finish_reason is the provider's word ("stop", "length", …).
    """

    text: str
    model: str
    usage: Usage | None = None
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    seconds: float = 0.0
