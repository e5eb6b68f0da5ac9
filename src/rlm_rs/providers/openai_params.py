"""Request bodies for OpenAI's two completion APIs, and what to leave out when a model refuses it.

Models and compatible servers differ in which parameters they take. A refusal is answered once by asking
again without the parameter, or with its other name, and remembered for the model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rlm_rs.core.model import Message, ModelRequest
from rlm_rs.providers.openai_failures import ErrorBody

# OpenAI's reasoning models: no temperature, and only the newer name of the output limit
_REASONING = re.compile(r"^(o\d|gpt-([5-9]|\d\d))(?!.*-chat)", re.IGNORECASE)
_REFUSED = re.compile(
    r"unsupported|not support|unrecognized|unknown|not (permitted|allowed)|unexpected|extra (field|input)s",
    re.IGNORECASE,
)
_REFUSAL_CODES = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter"})
_SCHEMA_REFUSED = re.compile(r"response_format|text\.format|json_schema|json_object|structured output", re.I)
RESPONSES_MIN_OUTPUT_TOKENS = 16
SCHEMA_NAME = "reply"


@dataclass(frozen=True, slots=True)
class Dialect:
    """Which parameters a model takes.

    limit_names and schema_forms are ways to say the same, the preferred one first; none left means that
    the limit is not sent, or that the schema stands in the prompt only.
    """

    limit_names: tuple[str, ...] = ("max_tokens", "max_completion_tokens")
    schema_forms: tuple[str, ...] = ("json_schema", "json_object")
    temperature: bool = True
    effort: bool = True
    min_limit: int = 0


def dialect_of(model: str, min_reasoning_tokens: int) -> Dialect:
    """What is known of a model beforehand, from its name."""
    if not _REASONING.match(model.rsplit("/", 1)[-1]):
        return Dialect()
    names = ("max_completion_tokens", "max_tokens")
    return Dialect(limit_names=names, temperature=False, min_limit=min_reasoning_tokens)


def without_refused(dialect: Dialect, params: Mapping[str, Any], error: ErrorBody) -> Dialect | None:
    """The dialect without what an error refused, or None where the error is about something else."""
    if _schema_refused(params, error):
        return replace(dialect, schema_forms=dialect.schema_forms[1:])
    if error.code not in _REFUSAL_CODES and not _REFUSED.search(error.message):
        return None
    blamed = {error.param} if error.param else set(re.findall(r"[\w.]+", error.message))
    limit = next((name for name in ("max_output_tokens", *dialect.limit_names) if name in params), None)
    if limit in blamed:
        return replace(dialect, limit_names=dialect.limit_names[1:] if limit != "max_output_tokens" else ())
    if "temperature" in blamed and "temperature" in params:
        return replace(dialect, temperature=False)
    if blamed & {"reasoning_effort", "reasoning", "reasoning.effort"} and dialect.effort:
        return replace(dialect, effort=False)
    return None


def _schema_refused(params: Mapping[str, Any], error: ErrorBody) -> bool:
    sent = "response_format" in params or "text" in params
    return sent and _SCHEMA_REFUSED.search(f"{error.param} {error.message}") is not None


def is_lasting(error: ErrorBody) -> bool:
    """Whether a refusal holds for the model, not just for the one schema sent with the request."""
    return error.code != "invalid_json_schema" and not error.message.startswith("Invalid schema")


def chat_params(request: ModelRequest, dialect: Dialect, effort: str | None) -> dict[str, Any]:
    """The body of a chat completion."""
    params: dict[str, Any] = {"model": request.model, "messages": _messages(request, dialect)}
    if request.max_tokens is not None and dialect.limit_names:
        params[dialect.limit_names[0]] = max(request.max_tokens, dialect.min_limit)
    if request.temperature is not None and dialect.temperature:
        params["temperature"] = request.temperature
    if request.schema is not None and dialect.schema_forms:
        params["response_format"] = _chat_format(request.schema, dialect.schema_forms[0])
    if effort and dialect.effort:
        params["reasoning_effort"] = effort
    return params


def responses_params(request: ModelRequest, dialect: Dialect, effort: str | None) -> dict[str, Any]:
    """The body of a response. Nothing is stored at the provider."""
    params: dict[str, Any] = {"model": request.model, "input": _messages(request, dialect), "store": False}
    if request.max_tokens is not None and dialect.limit_names:
        least = max(dialect.min_limit, RESPONSES_MIN_OUTPUT_TOKENS)
        params["max_output_tokens"] = max(request.max_tokens, least)
    if request.temperature is not None and dialect.temperature:
        params["temperature"] = request.temperature
    if request.schema is not None and dialect.schema_forms:
        params["text"] = {"format": _responses_format(request.schema, dialect.schema_forms[0])}
    if effort and dialect.effort:
        params["reasoning"] = {"effort": effort}
    return params


def _chat_format(schema: Mapping[str, Any], form: str) -> dict[str, Any]:
    if form == "json_object":
        return {"type": form}
    inner = {"name": SCHEMA_NAME, "schema": dict(schema), "strict": is_strict(schema)}
    return {"type": form, "json_schema": inner}


def _responses_format(schema: Mapping[str, Any], form: str) -> dict[str, Any]:
    if form == "json_object":
        return {"type": form}
    return {"type": form, "name": SCHEMA_NAME, "schema": dict(schema), "strict": is_strict(schema)}


def is_strict(schema: object) -> bool:
    """Whether a JSON Schema is in the subset that OpenAI can enforce.

    Every object in it must forbid additional properties and require all of its own
    (https://platform.openai.com/docs/guides/structured-outputs#supported-schemas).
    """
    if isinstance(schema, list):
        return all(map(is_strict, schema))
    if not isinstance(schema, Mapping):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, Mapping):
        named = properties if isinstance(properties, Mapping) else {}
        if schema.get("additionalProperties") is not False or not _requires(schema.get("required"), named):
            return False
    return all(map(is_strict, schema.values()))


def _requires(required: object, named: Mapping[str, object]) -> bool:
    """Whether it is a list of exactly these names; a model may have written anything there."""
    names = [] if required is None else required
    return isinstance(names, list) and all(isinstance(n, str) for n in names) and set(names) == set(named)


def _messages(request: ModelRequest, dialect: Dialect) -> list[dict[str, str]]:
    messages = [_message(message) for message in request.messages]
    if request.schema is None or dialect.schema_forms[:1] == ("json_schema",):
        return messages
    wanted = json.dumps(request.schema, sort_keys=True, default=dict)
    asked = f"Reply with one JSON value that satisfies this JSON Schema, and nothing else:\n{wanted}"
    return [*messages, {"role": "user", "content": asked}]


def _message(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": message.content}
