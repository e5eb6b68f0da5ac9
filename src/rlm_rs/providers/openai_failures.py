"""What an OpenAI-compatible provider's errors mean, and one line each that says what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from openai import APIStatusError

from rlm_rs.providers.retrying import Failure, retry_after
from rlm_rs.providers.wire_text import quoted

RETRIED_STATUSES = frozenset({408, 409, 425, 429})
_NO_MODEL = re.compile(
    r"\bmodel\b.{0,120}(does not exist|not found|not exist)|\binvalid model\b", re.I | re.S
)
_TOO_LONG = re.compile(
    r"(maximum )?context (length|window)|prompt is too long|too many (input )?tokens", re.I
)


@dataclass(frozen=True, slots=True)
class Names:
    """What the user calls things: used in messages. secrets are never shown."""

    url: str
    model: str
    key_setting: str = "OPENAI_API_KEY"
    url_setting: str = "OPENAI_BASE_URL"
    model_setting: str = "DEFAULT_ROOT_MODEL and DEFAULT_SUB_MODEL (--root-model, --sub-model)"
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The parts of an error answer that say what is wrong, as far as it has them."""

    message: str = ""
    code: str = ""
    type: str = ""
    param: str = ""


def read_error(body: object) -> ErrorBody:
    """The error object of an answer in any of the shapes seen: OpenAI's, a bare string, `detail`."""
    if isinstance(body, Mapping) and isinstance(body.get("error"), Mapping | str):
        body = body["error"]
    if isinstance(body, str):
        return ErrorBody("" if body.lstrip().startswith("<") else body)
    if not isinstance(body, Mapping):
        return ErrorBody()
    message = body.get("message") or body.get("detail") or ""
    return ErrorBody(str(message), *(str(body.get(name) or "") for name in ("code", "type", "param")))


def of_status(error: APIStatusError, names: Names) -> Failure:
    """The failure an HTTP error status stands for."""
    headers = error.response.headers
    failure = of_error(error.status_code, read_error(error.body), names)
    wished = headers.get("x-should-retry", "")
    retryable = {"true": True, "false": False}.get(wished, failure.retryable)
    extra = dict(failure.extra)
    if request_id := headers.get("x-request-id"):
        extra["request_id"] = quoted(request_id, names.secrets)
    return replace(failure, retryable=retryable, retry_after=retry_after(headers), extra=extra)


def of_error(status: int, error: ErrorBody, names: Names) -> Failure:
    """The failure a status and an error object stand for."""
    said = quoted(error.message, names.secrets)
    if status in (401, 403):
        return _of_access(status, said, names)
    if _no_model(status, error):
        message = f"The provider has no model {names.model!r} ({status}). Check {names.model_setting}."
        return Failure("not_found", message, status)
    if status == 404:
        message = (
            f"There is no such API at {names.url} (404). Check {names.url_setting}: it often ends in /v1."
        )
        return Failure("not_found", message, status)
    if status == 429:
        return _of_limit(error, said)
    if status >= 500 or status in RETRIED_STATUSES:
        return Failure(
            "server", f"The provider had an error ({status}){_colon(said)}", status, retryable=True
        )
    return _of_request(status, error, said, names)


def _no_model(status: int, error: ErrorBody) -> bool:
    if status not in (400, 404, 422):
        return False
    named = error.code in ("model_not_found", "DeploymentNotFound", "invalid_model")
    return named or _NO_MODEL.search(error.message) is not None


def _of_access(status: int, said: str, names: Names) -> Failure:
    if status == 401:
        message = f"The provider refused the API key (401). Check {names.key_setting}."
    else:
        message = (
            f"The provider denied access to {names.model!r} (403){_colon(said)} Check {names.key_setting}."
        )
    return Failure("auth", message, status)


def _of_limit(error: ErrorBody, said: str) -> Failure:
    if "insufficient_quota" in (error.code, error.type):
        return Failure(
            "quota", "The provider account has no credit left (429). Check its plan and billing.", 429
        )
    advice = "Wait, or lower TOOL_RESOLUTION_MAX_CONCURRENCY."
    return Failure(
        "rate_limit", f"The provider limits the rate (429){_colon(said)} {advice}", 429, retryable=True
    )


def _of_request(status: int, error: ErrorBody, said: str, names: Names) -> Failure:
    if "content_filter" in (error.code, error.type) or error.code == "content_policy_violation":
        return Failure(
            "content_filter", f"The provider's content filter refused the prompt{_colon(said)}", status
        )
    if error.code == "context_length_exceeded" or _TOO_LONG.search(error.message):
        message = (
            f"The prompt is larger than the window of {names.model!r}{_colon(said)} Send less text at once."
        )
        return Failure("context_length", message, status)
    return Failure("bad_request", f"The provider refused the request ({status}){_colon(said)}", status)


def of_connection(error: Exception, names: Names) -> Failure:
    """The failure of a connection that was not made or broke."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    why = quoted(str(cause) or type(cause).__name__, names.secrets).rstrip(".")
    message = f"The connection to {names.url} failed: {why}. Check {names.url_setting} and the network."
    return Failure("connection", message, retryable=True)


def of_timeout(seconds: float, names: Names) -> Failure:
    """The failure of an answer that did not come in time."""
    message = f"{names.url} gave no answer within {seconds:g} s. Raise OPENAI_TIMEOUT_SECONDS if it is slow."
    return Failure("timeout", message, retryable=True)


def of_malformed(what: str, names: Names) -> Failure:
    """The failure of an answer that is no completion."""
    message = f"The answer of {names.url} is no completion: {what}. Check {names.url_setting}."
    return Failure("malformed", message, 200, retryable=True)


def _colon(said: str) -> str:
    """`: what it said.`, or just a full stop."""
    return f": {said.rstrip('.')}." if said else "."


def details_of_usage(usage: Any) -> Mapping[str, Any]:
    """Token counts of a reply that was paid for and cannot be used, for the error's details."""
    if usage is None:
        return {}
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }
