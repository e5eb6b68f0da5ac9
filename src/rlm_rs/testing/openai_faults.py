"""Faults the OpenAI test server can play, by name.

An HTTP status ("500", "429", "401", "404", …): that status with the service's own error body.
"retry_after:2", "retry_after_ms:50", "retry_after_date:2": 429 with that header (the date is now plus
that many seconds). "quota": 429 because the account has no credit. "context_length", "content_filter",
"unsupported:NAME": 400 for that cause. "malformed": a body that is cut JSON. "html": a page instead of
JSON. "no_choices": JSON without an answer. "empty": an answer without text. "length": no text because
all output tokens went into reasoning. "drop": the connection breaks in the middle of the body. "close":
it breaks before any answer. "trickle": the body comes at 20 bytes a second. "hang": no answer ever.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any, Literal

Ending = Literal["sent", "dropped", "closed", "trickled", "hung"]

BODY_FAULTS = frozenset({"malformed", "html", "no_choices", "empty", "length"})
ENDINGS: Mapping[str, Ending] = {
    "drop": "dropped",
    "close": "closed",
    "trickle": "trickled",
    "hang": "hung",
}
_HEADERS = {
    "retry_after": "Retry-After",
    "retry_after_ms": "retry-after-ms",
    "retry_after_date": "Retry-After",
}
_NAMED = frozenset({"quota", "context_length", "content_filter"})


@dataclass(frozen=True, slots=True)
class WireError:
    """An error answer: HTTP status, the fields of the `error` object, and extra headers."""

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """The JSON body as the service writes it."""
        error: dict[str, Any] = {"message": self.message, "type": self.type, "param": self.param}
        return json.dumps({"error": error | {"code": self.code}}).encode()


def check_fault(fault: str | None) -> None:
    """Raise ValueError for a fault that is not known."""
    if fault is None or fault in BODY_FAULTS or fault in ENDINGS or fault in _NAMED:
        return
    name, _, value = fault.partition(":")
    if fault.isdigit() and 400 <= int(fault) <= 599:
        return
    if not value or name not in {*_HEADERS, "unsupported"}:
        raise ValueError(f"unknown fault {fault!r}")


def error_of(fault: str | None, model: str) -> WireError | None:
    """The error answer a fault stands for, or None where it is no error answer."""
    name, _, value = (fault or "").partition(":")
    if name in _HEADERS:
        return _rate_limit({_HEADERS[name]: _http_date(float(value)) if name.endswith("date") else value})
    if name == "unsupported":
        return unsupported(value)
    if name == "quota":
        text = "You exceeded your current quota, please check your plan and billing details."
        return WireError(429, text, "insufficient_quota", "insufficient_quota")
    if name == "context_length":
        return too_long(model, 8192, 9000)
    if name == "content_filter":
        return WireError(400, "The response was filtered.", code="content_filter", param="prompt")
    return error_of_status(int(name), model) if name.isdigit() else None


def error_of_status(status: int, model: str) -> WireError:
    """The usual error answer with that status."""
    if status == 429:
        return _rate_limit({})
    if status == 401:
        return wrong_key("sk-wrong")
    if status == 404:
        return no_model(model)
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return WireError(status, HTTPStatus(status).phrase if status in _STATUSES else "Error", kind)


def wrong_key(key: str) -> WireError:
    """The answer to an unknown key; like the service's own it repeats the key that was sent."""
    return WireError(401, f"Incorrect API key provided: {key}.", code="invalid_api_key")


def no_model(model: str) -> WireError:
    """The answer to a model that does not exist."""
    text = f"The model `{model}` does not exist or you do not have access to it."
    return WireError(404, text, code="model_not_found", param="model")


def unsupported(parameter: str) -> WireError:
    """The answer to a parameter the model does not take."""
    if parameter == "temperature":
        text = (
            "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value."
        )
        return WireError(400, text, code="unsupported_value", param=parameter)
    text = f"Unsupported parameter: '{parameter}' is not supported with this model."
    if parameter == "max_tokens":
        text += " Use 'max_completion_tokens' instead."
    return WireError(400, text, code="unsupported_parameter", param=parameter)


def too_long(model: str, limit: int, tokens: int) -> WireError:
    """The answer to a prompt larger than the model's window."""
    text = f"{model}'s maximum context length is {limit} tokens. However, your messages had {tokens} tokens."
    return WireError(400, text, code="context_length_exceeded", param="messages")


def _rate_limit(headers: Mapping[str, str]) -> WireError:
    return WireError(
        429, "Rate limit reached for requests.", "requests", "rate_limit_exceeded", headers=headers
    )


def _http_date(seconds: float) -> str:
    """RFC 9110 section 5.6.7 date, that many seconds from now."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


_STATUSES = frozenset(HTTPStatus)
