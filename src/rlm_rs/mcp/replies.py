"""What the tools answer with: the API's shapes, bounded, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel, Field

from rlm_rs.api.schemas import SpanRefBody
from rlm_rs.api.views import (
    CitationView,
    ContextView,
    ExecutionOut,
    Reason,
    SessionOut,
    StartedOut,
    StepOut,
    ToolsOut,
    VerifiedOut,
)
from rlm_rs.core.records import ExecutionStatus
from rlm_rs.mcp.cutting import ERROR_CHARS, PIECE_TOKENS, cut, first, fitted, json_chars, on_one_line

PAGE_DOCUMENTS = 50
PAGE_CITATIONS = 20
PAGE_CONTEXTS = 10
QUESTION_CHARS = 1_000
CONTEXT_CHARS = 1_000
VALUE_CHARS = 6_000
STATE_CHARS = 12_000
STDOUT_CHARS = 12_000
REQUESTS_CHARS = 24_000
SPANS = 100
STATUSES_CHARS = 6_000
NOTE_CHARS = 500
TOO_LONG_TO_SEND = (
    "The requests are too long to show: with options.resolve_tools a step has them answered at once."
)


class Cited(BaseModel):
    """A citation of an answer. `verified`: its checksum was recomputed from the stored text just now."""

    number: int
    source_name: str
    page: int | None
    quote: str
    support: str
    verified: bool
    doc_id: str
    start_char: int
    end_char: int


class Asked(BaseModel):
    """An answer, or a handle on one that is still being worked on. `next`: what to call, if anything."""

    status: Annotated[
        ExecutionStatus | None, Field(description="null: the documents are still being read in")
    ]
    execution_id: str | None = None
    session_id: str | None = None
    answer: str | None = None
    answer_chars: int = 0
    partial: Annotated[bool, Field(description="a budget ran out: this is the best answer so far")] = False
    citations: list[Cited] = []
    citations_total: int = 0
    unread: Annotated[list[str], Field(description="files that could not be read, and why")] = []
    error: str | None = None
    turns: int = 0
    seconds: float = 0.0
    cost_usd: float | None = None
    next: str | None = None


class SessionShown(SessionOut):
    """A session; docs is a page of its documents."""

    docs_total: int
    docs_from: int = 0
    next: str | None = None


class ExecutionShown(ExecutionOut):
    """An execution; answer, citations and contexts are pieces of what there is."""

    answer_chars: int = 0
    answer_from: int = 0
    citations_total: int = 0
    citations_from: int = 0
    contexts_total: int = 0
    contexts_from: int = 0
    next: str | None = None


class Started(StartedOut):
    """An execution that has begun."""

    next: str


class StepShown(StepOut):
    """How a step ended."""

    next: str | None = None


class ToolsShown(ToolsOut):
    """Results of sub-calls; longer texts are cut, and whole in `state["_tool_results"]` of the next step."""


class VerifiedShown(VerifiedOut):
    """Whether a citation holds; text is the beginning of what stands there now, all of which was checked."""

    next: str | None = None


class Passage(BaseModel):
    """A part of a document. Offsets are characters of its canonical text."""

    session_id: str
    doc_id: str
    source_name: str
    text: str
    start_char: int
    end_char: int
    char_length: int
    cited_from: Annotated[int | None, Field(description="where the citation begins")] = None
    cited_to: int | None = None
    next: str | None = None


class From(BaseModel):
    """Where in an execution to go on reading."""

    answer: int = 0
    citations: int = 0
    contexts: int = 0


def reply(text: str, value: BaseModel) -> CallToolResult:
    """A tool's result: words for a reader, and the same as JSON."""
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=value.model_dump(mode="json")
    )


def session_shown(session: SessionOut, start: int = 0) -> SessionShown:
    """A page of a session."""
    page = session.docs[start : start + PAGE_DOCUMENTS]
    return SessionShown(
        **session.model_dump(exclude={"docs"}),
        docs=page,
        docs_total=len(session.docs),
        docs_from=start,
        next=_next_of_session(session, start + len(page)),
    )


def _next_of_session(session: SessionOut, end: int) -> str | None:
    if session.status == "CREATING":
        return "rlm_get_session again in a few seconds: documents are still being read in."
    if end < len(session.docs):
        return f"rlm_get_session with docs_from={end} lists more documents."
    return "ask with this session_id." if session.readiness.ready else None


def execution_shown(execution: ExecutionOut, start: From | None = None) -> ExecutionShown:
    """A bounded view of an execution."""
    begin = start or From()
    answer = execution.answer or ""
    piece = first(answer[begin.answer :], PIECE_TOKENS)
    citations = execution.citations[begin.citations :][:PAGE_CITATIONS]
    contexts = [_context_shown(item) for item in execution.contexts[begin.contexts :][:PAGE_CONTEXTS]]
    ends = From(
        answer=begin.answer + len(piece),
        citations=begin.citations + len(citations),
        contexts=begin.contexts + len(contexts),
    )
    changed = {
        "question": on_one_line(execution.question, QUESTION_CHARS),
        "answer": piece if execution.answer is not None else None,
        # the answer says the same as text
        "value": execution.value if json_chars(execution.value) <= VALUE_CHARS else None,
        "error": _error_shown(execution.error),
        "citations": [citation_shown(item) for item in citations],
        "contexts": contexts,
    }
    return ExecutionShown(
        **{**dict(execution), **changed},
        answer_chars=len(answer),
        answer_from=begin.answer,
        citations_total=len(execution.citations),
        citations_from=begin.citations,
        contexts_total=len(execution.contexts),
        contexts_from=begin.contexts,
        next=_next_of_execution(execution, ends),
    )


def citation_shown(citation: CitationView) -> CitationView:
    """A citation whose note is no text of its own."""
    return citation.model_copy(update={"note": citation.note and cut(citation.note, NOTE_CHARS)})


def _error_shown(error: Reason | None) -> Reason | None:
    return error and error.model_copy(update={"message": cut(error.message, ERROR_CHARS)})


def _context_shown(item: ContextView) -> ContextView:
    return item.model_copy(update={"text": item.text[:CONTEXT_CHARS]})


def _next_of_execution(execution: ExecutionOut, ends: From) -> str | None:
    if execution.status == ExecutionStatus.RUNNING:
        if execution.mode == "RUNTIME":
            return "rlm_runtime_step runs the next step."
        return "rlm_wait_execution waits for the answer; rlm_cancel_execution stops it."
    left = [
        f"{name}_from={end}"
        for name, end, total in (
            ("answer", ends.answer, len(execution.answer or "")),
            ("citations", ends.citations, len(execution.citations)),
            ("contexts", ends.contexts, len(execution.contexts)),
        )
        if end < total
    ]
    return f"rlm_get_execution with {', '.join(left)} reads on." if left else None


def started(made: StartedOut) -> Started:
    """An execution that has begun, and how to hear of its end."""
    running = made.status == ExecutionStatus.RUNNING
    following = "rlm_wait_execution waits for its answer." if running else "rlm_get_execution shows it."
    return Started(execution_id=made.execution_id, status=made.status, next=following)


def step_shown(step: StepOut) -> StepShown:
    """A bounded view of a step.

    State and requests that do not fit are left out whole: they may be sent back as they are shown.
    """
    final, of_final = _final_shown(step.final)
    state_fits = json_chars(step.state) <= STATE_CHARS
    requests_fit = json_chars(step.tool_requests) <= REQUESTS_CHARS
    statuses_fit = json_chars(step.statuses) <= STATUSES_CHARS
    error = {
        name: cut(value, ERROR_CHARS) if isinstance(value, str) else value
        for name, value in (step.error or {}).items()
    }
    changed: dict[str, Any] = {
        "stdout": step.stdout[:STDOUT_CHARS],
        "state": step.state if state_fits else None,
        "span_log": step.span_log[:SPANS],
        "tool_requests": step.tool_requests if requests_fit else {kind: [] for kind in step.tool_requests},
        "final": final,
        "error": fitted(error, 2 * ERROR_CHARS) if step.error else None,
        "statuses": step.statuses if statuses_fit else _pending(step.statuses),
    }
    notes = [
        *([] if len(step.stdout) <= STDOUT_CHARS else ["stdout is cut: print less at a time."]),
        *([] if state_fits else ["state is kept but too long to show: print what you need of it."]),
        *([] if error == (step.error or {}) else ["error is cut: catch it and print what you need of it."]),
        *([] if requests_fit else [TOO_LONG_TO_SEND]),
        *([of_final] if of_final else []),
        *filter(None, [_next_of_step(step) if requests_fit else None]),
    ]
    return StepShown(**{**dict(step), **changed}, next=" ".join(notes) or None)


def _final_shown(final: Mapping[str, Any] | None) -> tuple[dict[str, Any] | None, str | None]:
    """What a step ended with, bounded, and how to read on if that is not all."""
    if final is None:
        return None, None
    answer = str(final.get("answer") or "")
    shown = {**final, "answer": first(answer, PIECE_TOKENS) if answer else final.get("answer")}
    # the answer says the same as text
    if json_chars(final.get("value")) > VALUE_CHARS:
        shown["value"] = None
    if len(answer) == len(shown["answer"] or ""):
        return shown, None
    shown["answer_chars"] = len(answer)
    if not final.get("is_final"):
        return shown, "The reason to yield is cut."
    return shown, f"rlm_get_execution with answer_from={len(shown['answer'])} reads on."


def _pending(statuses: Mapping[str, str]) -> dict[str, str]:
    """The sub-calls that are still to be answered: one step can queue few."""
    return {key: status for key, status in statuses.items() if status == "pending"}


def verified_shown(found: VerifiedOut, ref: SpanRefBody) -> VerifiedShown:
    """A bounded view of a checked citation."""
    text = found.text or ""
    piece = first(text, PIECE_TOKENS)
    following = None
    if len(piece) < len(text):
        following = reads_on(ref.session_id, ref.doc_id, ref.start_char + len(piece))
    shown = {**dict(found), "text": piece if found.text is not None else None}
    return VerifiedShown(**shown, next=following)


def reads_on(session_id: str, doc_id: str, start: int) -> str:
    """How to read on in a document."""
    return f"read_source with session_id={session_id}, doc_id={doc_id}, start_char={start} reads on."


def _next_of_step(step: StepOut) -> str | None:
    if (step.final or {}).get("is_final"):
        return None
    queued = any(step.tool_requests.values())
    pending = any(status == "pending" for status in step.statuses.values())
    if queued and pending:
        return (
            "rlm_resolve_tools with these tool_requests answers them; with options.resolve_tools a step does "
            "so by itself."
        )
    return "rlm_runtime_step runs the next step."


def tools_shown(tools: ToolsOut) -> ToolsShown:
    """A bounded view of what sub-calls gave."""
    count = max(1, sum(map(len, tools.tool_results.values())))
    room = REQUESTS_CHARS // count
    results = {
        kind: {key: fitted(found, room) if isinstance(found, dict) else found for key, found in items.items()}
        for kind, items in tools.tool_results.items()
    }
    return ToolsShown(tool_results=results, statuses=tools.statuses)


def place_of(citation: CitationView) -> str:
    """Where a citation stands, for a person."""
    page = f", page {citation.page}" if citation.page else ""
    return f"{citation.source_name}{page}"
