"""A chat request read as an RLM's: long messages are the corpus, the last user message is the question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from rlm_rs.api.schemas import Body
from rlm_rs.core.errors import ValidationFailed

LONG_CHARS = 4_000
"""A longer message is a document."""
CONVERSATION_CHARS = 32_000
"""What the question holds of short messages at most, the newest; if there are more, all are a document."""
QUESTION_CHARS = 2_000
CONVERSATION = "conversation.txt"
TEXT_PARTS = ("text", "input_text", "output_text")


class TextPart(BaseModel):
    """One part of a message's content; only text can be read."""

    model_config = ConfigDict(extra="ignore")

    type: str
    text: Annotated[str | None, AfterValidator(lambda text: text.encode() and text if text else text)] = None


class ChatMessage(BaseModel):
    """One message. Fields that mean nothing here are ignored, as clients send many."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: (
        Annotated[str, AfterValidator(lambda text: (text.encode() and text) or "")] | list[TextPart] | None
    ) = None
    name: str | None = None


class StreamOptions(Body):
    """include_usage: a last chunk with the tokens."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class ChatBody(Body):
    """OpenAI's chat completion request. Sampling fields are accepted and mean nothing here."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(min_length=1, max_length=200, examples=["rlm"])
    messages: list[ChatMessage] = Field(min_length=1, max_length=10_000)
    stream: bool = False
    stream_options: StreamOptions | None = None
    response_format: dict[str, Any] | None = None
    n: int = Field(1, ge=1, le=1)


@dataclass(frozen=True, slots=True)
class Passage:
    """A text of the corpus and the name it is cited by."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a chat request comes to."""

    question: str
    corpus: tuple[Passage, ...]


def asked(messages: Sequence[ChatMessage]) -> Asked:
    """Question and corpus of a chat. Raises `ValidationFailed` if no user says anything.

    A last user message that is itself long is a document too; its last paragraph is the question.
    """
    last = _last_user(messages)
    pieces = _pieces(last, messages[last])
    question, rest = _split(pieces)
    others = [
        (message.role, piece)
        for i, message in enumerate(messages)
        if i != last
        for piece in _pieces(i, message)
    ]
    long = [piece for _, piece in others if len(piece.text) > LONG_CHARS] + rest
    said = [f"{role}: {piece.text}" for role, piece in others if len(piece.text) <= LONG_CHARS]
    newest = said[_older(said) :]
    whole = "\n\n".join([*newest, question])
    if len(newest) < len(said):
        long.append(Passage(CONVERSATION, "\n\n".join(said)))
    return Asked(whole, tuple(long) or (Passage(CONVERSATION, whole),))


def _older(texts: Sequence[str]) -> int:
    """How many of them, the oldest, do not fit into the question with the rest."""
    left = CONVERSATION_CHARS
    for count in range(len(texts), 0, -1):
        left -= len(texts[count - 1])
        if left < 0:
            return count
    return 0


def _last_user(messages: Sequence[ChatMessage]) -> int:
    for i in range(len(messages) - 1, -1, -1):
        if messages[i].role == "user" and any(_pieces(i, messages[i])):
            return i
    raise ValidationFailed(reason="messages: there is no user message to answer.")


def _pieces(number: int, message: ChatMessage) -> list[Passage]:
    texts = [text for text in _texts(message) if text.strip()]
    names = [f"message_{number + 1}_{message.role}"] if len(texts) == 1 else []
    names = names or [f"message_{number + 1}_{message.role}_part_{i + 1}" for i in range(len(texts))]
    return [Passage(f"{name}.txt", text) for name, text in zip(names, texts, strict=True)]


def _texts(message: ChatMessage) -> Iterator[str]:
    if isinstance(message.content, str):
        yield message.content
    for part in message.content if isinstance(message.content, list) else ():
        if part.type not in TEXT_PARTS:
            raise ValidationFailed(
                reason=f"messages: content of type {part.type!r} cannot be read; send text."
            )
        yield part.text or ""


def _split(pieces: Sequence[Passage]) -> tuple[str, list[Passage]]:
    """The question among the parts of the last user message, and the parts that are documents."""
    short = [piece for piece in pieces if len(piece.text) <= LONG_CHARS]
    long = [piece for piece in pieces if len(piece.text) > LONG_CHARS]
    if short:
        older = _older([piece.text for piece in short])
        return "\n\n".join(piece.text for piece in short[older:]), long + short[:older]
    paragraph = long[-1].text.rstrip().rpartition("\n\n")[2].strip()
    return paragraph[-QUESTION_CHARS:], long


def output_schema(body: ChatBody) -> dict[str, Any] | None:
    """The JSON Schema of `response_format`, if it has one."""
    if not body.response_format or body.response_format.get("type") != "json_schema":
        return None
    named = body.response_format.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(schema, dict):
        raise ValidationFailed(reason="response_format.json_schema.schema must be a JSON Schema.")
    return schema
