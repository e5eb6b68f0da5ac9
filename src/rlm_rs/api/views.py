"""What the API answers with. Times are seconds since the epoch."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from rlm_rs.core.corpus import IngestStatus
from rlm_rs.core.execution import Event
from rlm_rs.core.records import EvaluationStatus, ExecutionStatus, SessionStatus


class DocumentView(BaseModel):
    """A document and how far it has come; failure_reason says what to do about one that FAILED."""

    doc_id: str
    doc_index: int
    source_name: str
    mime_type: str
    ingest_status: IngestStatus
    failure_reason: str | None = None
    failure_code: str | None = None
    warnings: list[str] = []
    char_length: int = 0
    page_count: int = 0
    raw_s3_uri: str | None = None
    text_s3_uri: str | None = None
    meta_s3_uri: str | None = None
    offsets_s3_uri: str | None = None


class Readiness(BaseModel):
    """ready: executions can begin."""

    parsed_ready: bool
    search_ready: bool
    ready: bool


class SessionOut(BaseModel):
    """A session with its documents."""

    session_id: str = Field(examples=["sess_0b9f"])
    status: SessionStatus
    created_at: datetime
    expires_at: datetime | None
    options: dict[str, Any] = {}
    models_default: dict[str, Any] = {}
    budgets_default: dict[str, Any] = {}
    readiness: Readiness
    docs: list[DocumentView]


class SessionRow(BaseModel):
    """A session in a list. `id` is `session_id`; `ttl_seconds` is its whole life, null if it has no end."""

    session_id: str
    id: str
    tenant_id: str
    status: SessionStatus
    readiness_mode: str
    ttl_seconds: int | None
    created_at: datetime
    expires_at: datetime | None
    options: dict[str, Any] = {}


class SessionPage(BaseModel):
    """Sessions, newest first; next_cursor is null at the end."""

    sessions: list[SessionRow]
    next_cursor: str | None


class Deleting(BaseModel):
    """The session takes no more work; its data is being removed."""

    status: Literal["DELETING"] = "DELETING"


class UploadOut(BaseModel):
    """Stored bytes; raw_s3_uri is what a session's document names."""

    raw_s3_uri: str = Field(examples=["s3://rlm/raw/acme/4f1c/lease.md"])
    byte_length: int
    checksum: str = Field(examples=["sha256:9f86d081884c7d65"])


class SpanRefView(BaseModel):
    """A citation anyone can re-check."""

    tenant_id: str
    session_id: str
    doc_id: str
    doc_index: int
    start_char: int
    end_char: int
    checksum: str


class CitationView(BaseModel):
    """A SpanRef, where it stands for a person, and how it supports the answer."""

    tenant_id: str
    session_id: str
    doc_id: str
    doc_index: int
    start_char: int
    end_char: int
    checksum: str
    source_name: str
    page: int | None
    support: str
    note: str | None = None


class ContextView(BaseModel):
    """One result of CONTEXTS mode, in discovery order."""

    sequence_index: int
    turn_index: int
    span_index: int
    tag: str
    text: str
    text_char_length: int
    source_name: str
    mime_type: str
    ref: SpanRefView


class StartedOut(BaseModel):
    """The execution exists; a worker goes on with it."""

    execution_id: str = Field(examples=["exec_77aa"])
    status: ExecutionStatus


class Reason(BaseModel):
    """Why an execution did not complete."""

    code: str
    message: str


class ExecutionOut(BaseModel):
    """An execution as its journal has it."""

    execution_id: str
    session_id: str
    mode: str
    output_mode: str
    status: ExecutionStatus
    question: str
    answer: str | None
    value: Any = None
    partial: bool = False
    error: Reason | None = None
    citations: list[CitationView] = []
    contexts: list[ContextView] = []
    contexts_s3_uri: str | None = Field(default=None, description="always null: `contexts` holds all of them")
    models: dict[str, str]
    budgets_requested: dict[str, Any]
    budgets_consumed: dict[str, Any]
    started_at: datetime
    completed_at: datetime | None = None
    parent_id: str | None = None
    trace_s3_uri: str | None = None


class ExecutionRow(BaseModel):
    """An execution in a list."""

    execution_id: str
    tenant_id: str = ""
    session_id: str
    status: ExecutionStatus
    mode: str
    output_mode: str
    question: str
    started_at: datetime
    completed_at: datetime | None
    parent_id: str | None
    turns: int
    cost_usd: float | None


class ExecutionPage(BaseModel):
    """Executions, newest first; next_cursor is null at the end."""

    executions: list[ExecutionRow]
    next_cursor: str | None


class ContextsOut(BaseModel):
    """The results of CONTEXTS mode."""

    contexts: list[ContextView]


class StepOut(BaseModel):
    """How a step ended. A sandbox error is a result too: success is false and error says why."""

    success: bool
    stdout: str
    state: Any
    span_log: list[dict[str, Any]]
    tool_requests: dict[str, list[dict[str, Any]]]
    final: dict[str, Any] | None
    error: dict[str, Any] | None
    turn_index: int | None = None
    statuses: dict[str, str] = {}


class StepRow(StepOut):
    """A step in the history of an execution."""

    updated_at: datetime
    checksum: str
    summary: dict[str, Any]
    timings: dict[str, Any]


class StepPage(BaseModel):
    """Steps in order; next_cursor is null at the end."""

    steps: list[StepRow]
    next_cursor: str | None


class CodeEntry(BaseModel):
    """One entry of the code log."""

    execution_id: str
    sequence: int
    turn_index: int
    created_at: datetime
    source: Literal["ROOT", "SUB", "TOOL"]
    kind: Literal["REPL", "REPL_PARSE_ERROR", "TOOL_REQUEST", "TOOL_RESULT"]
    model_name: str | None
    tool_type: str | None
    content: Any


class CodePage(BaseModel):
    """The code log; next_cursor goes on after the last entry, also when more is yet to come."""

    entries: list[CodeEntry]
    next_cursor: str | None


class EventView(BaseModel):
    """A numbered event of the journal; data is the event itself."""

    seq: int
    type: str
    data: Annotated[Event, Field(discriminator="type")]


class EventPage(BaseModel):
    """Events; next_cursor goes on after the last one, also when more is yet to come."""

    events: list[EventView]
    next_cursor: str | None


class ToolsOut(BaseModel):
    """Results by the requests' keys, and how each ended."""

    tool_results: dict[str, dict[str, Any]]
    statuses: dict[str, str]


class PageView(BaseModel):
    """A page and the characters of the canonical text that it holds."""

    page_num: int
    start_char: int
    end_char: int


class StructureOut(BaseModel):
    """How a document's text is divided. sections nest: each has title, level, start_char, end_char, page."""

    doc_id: str
    title: str | None = None
    char_length: int
    pages: list[PageView] = []
    sections: list[dict[str, Any]] = []
    tables: list[dict[str, Any]] = []


class SpanOut(BaseModel):
    """The text of a range and its citation. A range past the end is cut, in both."""

    text: str
    ref: SpanRefView


class CharRange(BaseModel):
    """`[start_char, end_char)`."""

    start_char: int
    end_char: int


class VerifiedOut(BaseModel):
    """Whether a citation holds; text is what stands there now."""

    valid: bool
    text: str | None = None
    source_name: str | None = None
    page: int | None = None
    char_range: CharRange | None = None
    reason: str | None = None


class EvaluationCallView(BaseModel):
    """One paid call of an evaluation."""

    purpose: str
    model: str
    cache_hit: bool
    input_tokens: int
    output_tokens: int
    cost_usd: float | None


class EvaluationSpend(BaseModel):
    """What an evaluation cost, apart from its execution; cost_usd is null if a price is unknown."""

    calls: int
    cache_hits: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None


class EvaluationOut(BaseModel):
    """How good an answer is. Scores are from 0 to 1, null with a reason in skip_reasons.

    judge_metrics, judge_details and reference_scores: by whose answer it is, `answerer` or `baseline`.
    """

    evaluation_id: str
    execution_id: str
    session_id: str
    tenant_id: str
    status: EvaluationStatus
    revision: int
    failure: str | None
    question: str
    answer: str | None
    baseline_status: str = Field(examples=["COMPLETED", "SKIPPED"])
    baseline_skip_reason: str | None = Field(examples=["CONTEXT_WINDOW_EXCEEDED"])
    baseline_model: str | None
    baseline_answer: str | None
    baseline_input_tokens: int | None
    baseline_context_window: int | None
    judge_model: str | None
    judge_metrics: dict[str, dict[str, float | None]]
    skip_reasons: dict[str, dict[str, str]]
    judge_details: dict[str, dict[str, Any]]
    contexts_used: str | None
    reference_answers: list[str]
    reference_scores: dict[str, dict[str, float]]
    calls: list[EvaluationCallView]
    spend: EvaluationSpend
    created_at: datetime
    updated_at: datetime
