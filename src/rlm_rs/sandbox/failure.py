"""What went wrong in a step, in the words and line numbers of its own code."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

from rlm_rs.sandbox.limits import LimitExceeded, StepDiverged, StepTimedOut
from rlm_rs.sandbox.output import readable
from rlm_rs.sandbox.protocol import StepError

STEP_FILE = "<step>"
"""The file name of step code in tracebacks."""

KEPT_FILE = "<kept>"
"""The file name of a function kept from an earlier step."""

_MESSAGE_CHARS = 2_000
_FRAMES = 8


class Rejected(Exception):
    """The policy refuses the code before it runs."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def step_error(error: BaseException, code: str, seconds: float, memory_mb: int) -> StepError:
    """The error to report for what ended the step. `code` is the step's own source."""
    match error:
        case Rejected():
            return StepError("SANDBOX_AST_REJECTED", error.message, error.line, _quoted(code, error.line))
        case StepDiverged():
            return StepError("REPLAY_DIVERGED", error.message)
        case StepTimedOut():
            return _located("STEP_TIMEOUT", _timeout(seconds), error, code)
        case MemoryError():
            return _located("STEP_MEMORY", _memory(memory_mb), error, code)
        case LimitExceeded():
            return _located(error.code, _message(error), error, code)
        case SyntaxError() if error.filename in (STEP_FILE, None):
            return _syntax_error(error, code)
    return _located("STEP_ERROR", _named(error), error, code)


def described(error: BaseException, code: str) -> str:
    """The error as a text of several lines: where in the step's own code, then what."""
    return "\n".join([*(text for _, _, text in _own_frames(error.__traceback__, code)), _named(error)])


def _timeout(seconds: float) -> str:
    return (
        f"the step ran longer than its {seconds:g} seconds. Do less per step, and search with find or regex."
    )


def _memory(memory_mb: int) -> str:
    return f"the step needed more than its {memory_mb} MB of memory. Read ranges; keep offsets, not text."


def _syntax_error(error: SyntaxError, code: str) -> StepError:
    return StepError(
        "STEP_SYNTAX", f"{type(error).__name__}: {error.msg}", error.lineno, _quoted(code, error.lineno)
    )


def _quoted(code: str, line: int | None) -> str:
    source = _source_line(code, line)
    return f"line {line}\n    {source}" if source else ""


def _located(name: str, message: str, error: BaseException, code: str) -> StepError:
    frames = list(_own_frames(error.__traceback__, code))
    line = next((number for number, place, _ in reversed(frames) if place == STEP_FILE), None)
    return StepError(name, message, line, "\n".join(text for _, _, text in frames[-_FRAMES:]))


def _own_frames(traceback: TracebackType | None, code: str) -> Iterator[tuple[int, str, str]]:
    while traceback is not None:
        frame = traceback.tb_frame.f_code
        if frame.co_filename in (STEP_FILE, KEPT_FILE):
            yield (
                traceback.tb_lineno,
                frame.co_filename,
                _frame_text(frame.co_filename, frame.co_name, traceback.tb_lineno, code),
            )
        traceback = traceback.tb_next


def _frame_text(file: str, name: str, line: int, code: str) -> str:
    within = "" if name == "<module>" else f", in {name}"
    if file == KEPT_FILE:
        return f"line {line} of a function kept from an earlier step{within}"
    source = _source_line(code, line)
    return f"line {line}{within}" + (f"\n    {source}" if source else "")


def _source_line(code: str, line: int | None) -> str:
    lines = code.splitlines()
    return readable(lines[line - 1].strip()[:200]) if line and 0 < line <= len(lines) else ""


def _named(error: BaseException) -> str:
    message = _message(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001  (a class of step code may fail to describe itself in any way)
        text = f"(its __str__ raised {type(broken).__name__})"
    return readable(" ".join(text[: 2 * _MESSAGE_CHARS].split()))[:_MESSAGE_CHARS]
