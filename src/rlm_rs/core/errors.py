"""Every error a user can meet: one class per code; its docstring is the message.

Fields in braces are filled from the keyword arguments, which are also the error's `details`.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar


class RlmError(Exception):
    """Something went wrong inside RLM-RS: {reason}."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.details = details
        self.message = message or inspect.cleandoc(type(self).__doc__ or "").format_map(_Filled(details))
        super().__init__(self.message)


class _Filled(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


class Unauthorized(RlmError):
    """That key is not known here, has expired or was revoked. `rlm keys create` makes one."""

    code, status = "UNAUTHORIZED", 401


class Forbidden(RlmError):
    """This key may not do that: it lacks the scope {scope}."""

    code, status = "FORBIDDEN", 403


class SessionNotFound(RlmError):
    """There is no session {session_id} here."""

    code, status = "SESSION_NOT_FOUND", 404


class ExecutionNotFound(RlmError):
    """There is no execution {execution_id} here. `rlm list` shows those there are."""

    code, status = "EXECUTION_NOT_FOUND", 404


class EvaluationNotFound(ExecutionNotFound):
    """Execution {execution_id} was not evaluated. Recompute its evaluation, or set ENABLE_EVAL_JUDGE."""


class DocumentNotFound(RlmError):
    """There is no document {doc_id} in session {session_id}."""

    code, status = "DOCUMENT_NOT_FOUND", 404


class NotFound(RlmError):
    """There is nothing at {path}."""

    code, status = "NOT_FOUND", 404


class MethodNotAllowed(RlmError):
    """{path} does not take {method}."""

    code, status = "METHOD_NOT_ALLOWED", 405


class IdempotencyConflict(RlmError):
    """That Idempotency-Key was used for another request. Use a new one."""

    code, status = "IDEMPOTENCY_CONFLICT", 409


class SessionNotReady(RlmError):
    """Session {session_id} is not ready: {reason}."""

    code, status = "SESSION_NOT_READY", 409


class SessionExpired(RlmError):
    """Session {session_id} has expired and its documents are gone. Make a new one from the same files."""

    code, status = "SESSION_EXPIRED", 410


class RequestTooLarge(RlmError):
    """The request is larger than the {limit} bytes allowed."""

    code, status = "REQUEST_TOO_LARGE", 413


class ValidationFailed(RlmError):
    """{reason}"""

    code, status, exit_code = "VALIDATION_ERROR", 422, 2


class SettingInvalid(ValidationFailed):
    """{variable} is {value!r}: {reason}"""


class SourceNotFound(ValidationFailed):
    """{path}: no such file or folder. Check the spelling, or quote a glob pattern."""


class KeyNotFound(ValidationFailed):
    """There is no key {key_id}. `rlm keys list` shows those there are."""


class RequestUnderWay(RlmError):
    """The request with this Idempotency-Key is still under way. Try again in {retry_after} seconds."""

    code, status = "REQUEST_UNDER_WAY", 409


class RateLimited(RlmError):
    """Too many requests. Try again in {retry_after} seconds."""

    code, status = "RATE_LIMITED", 429


class BudgetExceeded(RlmError):
    """The budget is used up: {budget} is {limit}."""

    code, status, exit_code = "BUDGET_EXCEEDED", 400, 3


class MaxTurnsExceeded(BudgetExceeded):
    """No answer within {limit} turns. Raise max_turns, or ask a narrower question."""

    code = "MAX_TURNS_EXCEEDED"


class StepTimeout(RlmError):
    """The step ran longer than {limit} seconds."""

    code, status = "STEP_TIMEOUT", 400


class StateInvalid(RlmError):
    """{reason}"""

    code, status = "STATE_INVALID_TYPE", 400


class StateTooLarge(RlmError):
    """state is {size} characters, more than the {limit} allowed. Keep offsets, not text."""

    code, status = "STATE_TOO_LARGE", 400


class ChecksumMismatch(RlmError):
    """{what} does not match its checksum: it was changed after it was written."""

    code, status = "CHECKSUM_MISMATCH", 400


class BlobNotFound(RlmError):
    """There is no object {uri}."""

    code, status = "S3_READ_ERROR", 502


class BlobChanged(BlobNotFound):
    """{uri} is there, but not as it was named: {reason}."""


class ParserFailed(RlmError):
    """{source_name}: {reason}"""

    code, status = "PARSER_ERROR", 502


class ProviderFailed(RlmError):
    """The model provider failed: {reason}"""

    code, status = "LLM_PROVIDER_ERROR", 502


class ToolFailed(RlmError):
    """{tool}: {reason}"""

    code, status = "TOOL_FAILED", 502


class SandboxFailed(RlmError):
    """The sandbox could not run the step: {reason}"""

    code, status = "SANDBOX_PROTOCOL_ERROR", 500


class LambdaFailed(SandboxFailed):
    """The Lambda function {function} could not run the step: {reason}"""

    code, status = "LAMBDA_ERROR", 500


class Fenced(RlmError):
    """Something else went on with execution {execution_id} meanwhile. Read it again before you go on."""

    code, status = "FENCED", 409


class StorageFailed(RlmError):
    """{service} could not do {operation}: {reason}"""

    code, status = "STORAGE_ERROR", 503


class SearchNotEnabled(RlmError):
    """This session has no search index. Use context.find or context.regex over all documents."""

    code, status = "SEARCH_NOT_ENABLED", 409


class SearchNotReady(RlmError):
    """The search index is still being built. Use context.find now, or search again in a later step."""

    code, status = "SEARCH_NOT_READY", 409


class SearchFailed(RlmError):
    """The search failed: {reason}. Use context.find or context.regex instead."""

    code, status = "SEARCH_FAILED", 502


class ServiceNotReady(RlmError):
    """Not ready: {reason}."""

    code, status = "NOT_READY", 503


class ServerUnreachable(RlmError):
    """{url} cannot be reached: {reason}. Check the URL (--server, RLM_BASE_URL) and that the server runs."""

    code, status = "SERVER_UNREACHABLE", 503


class ServerUnreadable(RlmError):
    """{url} answered with {reason}. Is it an RLM-RS server, of this version?"""

    code, status = "SERVER_UNREADABLE", 502


def error_of(code: str, message: str, details: dict[str, Any]) -> RlmError:
    """The error that a code stands for, as another process tells of it; `RlmError` where it is not known."""
    given = {name: value for name, value in details.items() if name != "message"}
    waiting = [RlmError]
    for kind in waiting:
        if kind.code == code and kind.__init__ is RlmError.__init__:
            return kind(message, **given)
        waiting += kind.__subclasses__()
    return RlmError(message, **{**given, "code": code})
