"""One shape for everything that goes wrong: `{"error": {"code", "message", "request_id", "details"}}`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from rlm_rs.core.errors import (
    BlobNotFound,
    ChecksumMismatch,
    ExecutionNotFound,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    RequestTooLarge,
    RlmError,
    StorageFailed,
    Unauthorized,
    ValidationFailed,
)

SHOWN_ERRORS = 20
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_ALWAYS: tuple[type[RlmError], ...] = (
    Unauthorized,
    Forbidden,
    RequestTooLarge,
    ValidationFailed,
    RateLimited,
    RlmError,
    StorageFailed,
)
RECORDED: tuple[type[RlmError], ...] = (ExecutionNotFound, ChecksumMismatch, BlobNotFound)
"""What reading an execution's journal may end in, the large parts of whose events are objects."""


class ErrorBody(BaseModel):
    """What went wrong: a stable code, one sentence, the request it happened to."""

    code: str = Field(examples=["SESSION_NOT_FOUND"])
    message: str
    request_id: str = Field(examples=["req_5f0c1e"])
    details: dict[str, Any] = Field(default_factory=dict)


class Envelope(BaseModel):
    """Every response that is not 2xx."""

    error: ErrorBody


def request_id(scope: Scope) -> str:
    """The id the edge gave this request."""
    return str(scope.get("state", {}).get("request_id", ""))


def enveloped(error: RlmError, scope: Scope) -> dict[str, Any]:
    """The body of a response that says so, also where one has begun."""
    return {
        "error": {
            "code": error.code,
            "message": error.message,
            "request_id": request_id(scope),
            "details": error.details,
        }
    }


def envelope(error: RlmError, scope: Scope) -> Response:
    """The response that says so."""
    content = orjson.dumps(enveloped(error, scope), default=str, option=orjson.OPT_NON_STR_KEYS)
    return Response(content, error.status, _headers(error), "application/json")


def _headers(error: RlmError) -> Mapping[str, str]:
    if error.status == 401:
        return {"WWW-Authenticate": "Bearer"}
    if "retry_after" in error.details:
        return {"Retry-After": str(error.details["retry_after"])}
    if error.details.get("allow"):
        return {"Allow": str(error.details["allow"])}
    return {}


def install(app: FastAPI) -> None:
    """Make every error of the framework an envelope too."""
    app.add_exception_handler(RlmError, _rlm_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)


async def _rlm_error(request: Request, error: Exception) -> Response:
    known = error if isinstance(error, RlmError) else RlmError(reason=type(error).__name__)
    return envelope(known, request.scope)


async def _invalid(request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    return envelope(validation_failed(found), request.scope)


def validation_failed(found: Iterable[Mapping[str, Any]]) -> ValidationFailed:
    """Pydantic's findings as one error. What was sent is not repeated: it may be a document."""
    errors = [
        {"loc": [str(part) for part in item["loc"]], "msg": str(item["msg"]), "type": str(item["type"])}
        for item in list(found)[:SHOWN_ERRORS]
    ]
    first = errors[0] if errors else {"loc": [], "msg": "the request is not valid", "type": ""}
    place = ".".join(first["loc"]) or "request"
    return ValidationFailed(f"{place}: {first['msg']}", errors=errors)


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return await _rlm_error(request, error)
    return envelope(_as_rlm_error(request, error), request.scope)


def _as_rlm_error(request: Request, error: HTTPException) -> RlmError:
    if error.status_code == 404:
        return NotFound(path=request.url.path)
    if error.status_code == 405:
        return MethodNotAllowed(method=request.method, path=request.url.path, allow=_allowed(request))
    if error.status_code < 500:
        return ValidationFailed(str(error.detail))
    return RlmError(reason=str(error.detail))


def _allowed(request: Request) -> str:
    """All methods that the path takes, as RFC 9110, section 15.5.6, has it; a route knows only its own."""
    routes = request.app.router.routes
    found = [
        method
        for method in METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    return ", ".join(found)


def documented(*errors: type[RlmError]) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of these errors and of those that any route may answer with."""
    found: dict[int | str, dict[str, Any]] = {}
    for error in (*_ALWAYS, *errors):
        entry = found.setdefault(error.status, {"model": Envelope, "description": ""})
        code = f"`{error.code}`"
        if code not in entry["description"]:
            entry["description"] = ", ".join(filter(None, (entry["description"], code)))
    return found
