"""Errors as a model is told of them: what went wrong, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from pydantic import ValidationError

from rlm_rs.core.errors import RlmError

SHOWN_PROBLEMS = 5

ADVICE: Mapping[str, str] = {
    "SESSION_NOT_FOUND": "Call ask with paths, or rlm_create_session, to make one.",
    "SESSION_NOT_READY": "Call rlm_get_session until readiness.ready is true, then try again.",
    "SESSION_EXPIRED": "Call ask with the same paths, or rlm_create_session, to make a new one.",
    "EXECUTION_NOT_FOUND": "Use the execution_id that ask or rlm_start_execution gave.",
    "DOCUMENT_NOT_FOUND": "rlm_get_session lists the documents with their doc_id.",
    "UNAUTHORIZED": "The user has to give this server a good key (RLM_API_KEY).",
    "FORBIDDEN": "The user has to give this client a key with that scope (`rlm keys create --scope`).",
    "RATE_LIMITED": "Wait as long as it says, then call again.",
    "BUDGET_EXCEEDED": "Ask a narrower question, or give higher budgets.",
    "MAX_TURNS_EXCEEDED": "Ask a narrower question, or give a higher budgets.max_turns.",
    "TIMEOUT": "Ask a narrower question, or give a higher budgets.max_total_seconds.",
    "LLM_PROVIDER_ERROR": "Call again later; if it stays so, the user has to look at the provider's key.",
    "SERVER_UNREACHABLE": "The user has to start that server, or take RLM_BASE_URL away.",
    "STATE_INVALID_TYPE": "Leave state out to go on with what is kept, or send a JSON object.",
    "FENCED": "Call rlm_get_execution to see how far it is.",
}


def explained(error: ToolError, name: str, arguments: Iterable[str]) -> ToolError:
    """The error of a tool call with words of our own, where the cause is known."""
    cause = error.__cause__
    if isinstance(cause, RlmError):
        return ToolError(told(cause.code, cause.message))
    if isinstance(cause, ToolError) and not isinstance(cause, UnexpectedToolError):
        return cause
    if isinstance(cause, ValidationError) and not isinstance(error, UnexpectedToolError):
        return ToolError(f"{name}: {problems(cause)}. It takes {', '.join(arguments)}.")
    return error


def told(code: str, message: str) -> str:
    """A code, what it means here, and what to do next."""
    advice = ADVICE.get(code, "")
    return f"{code}: {message}{f' {advice}' if advice else ''}"


def problems(error: ValidationError) -> str:
    """What is wrong with arguments; what was sent is not repeated."""
    found = error.errors(include_url=False, include_input=False, include_context=False)[:SHOWN_PROBLEMS]
    return "; ".join(f"{_place(item)}: {item['msg']}" for item in found)


def _place(item: Mapping[str, Any]) -> str:
    return ".".join(str(part) for part in item["loc"]) or "arguments"
