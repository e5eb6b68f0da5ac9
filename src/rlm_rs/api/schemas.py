"""What clients may send. Unknown fields are refused, so that a misspelt one is not silently ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from rlm_rs.core.records import MAX_DOCUMENTS, MAX_TTL_MINUTES

MAX_QUESTION_CHARS = 1_000_000
MAX_CODE_CHARS = 1_000_000
MAX_WAIT_SECONDS = 600.0
MAX_REQUESTS = 1_000


def _encodable(text: str) -> str:
    text.encode()
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


Text = Annotated[str, AfterValidator(_encodable)]
Name = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_encodable)]
References = Annotated[list[Annotated[Text, Field(max_length=100_000)]], Field(max_length=20)]
ModelName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_encodable)]


class Body(BaseModel):
    """A request's body. What may be left out may also be null."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, sent: Any) -> Any:
        if not isinstance(sent, dict):
            return sent
        optional = {name for name, field in cls.model_fields.items() if not field.is_required()}
        return {name: value for name, value in sent.items() if value is not None or name not in optional}


class ModelsBody(Body):
    """Models by name; what is left out comes from the session, then from the settings."""

    root_model: ModelName | None = None
    sub_model: ModelName | None = None


_Count = Annotated[int, Field(gt=0, lt=10**15)]
_CountOrNone = Annotated[int, Field(ge=0, lt=10**15)]
_Amount = Annotated[float, Field(gt=0, lt=10**15)]


class BudgetsBody(Body):
    """Bounds of an execution; what is left out comes from the session, then from the settings."""

    max_turns: _Count | None = None
    max_total_seconds: _Amount | None = None
    max_step_seconds: _Amount | None = None
    max_spans_total: _Count | None = None
    max_spans_per_step: _Count | None = None
    max_tool_requests_per_step: _CountOrNone | None = None
    max_llm_subcalls: _CountOrNone | None = None
    max_llm_prompt_chars: _Count | None = None
    max_total_llm_prompt_chars: _Count | None = None
    max_stdout_chars: _Count | None = None
    max_state_chars: _Count | None = None
    max_total_tokens: _Count | None = None
    max_cost_usd: _Amount | None = None
    max_depth: _CountOrNone | None = None
    max_tool_calls: _CountOrNone | None = None
    max_consecutive_errors: _Count | None = None
    max_step_memory_mb: _Count | None = None


Mark = Annotated[str, Field(pattern="^[!-~]+$", max_length=1024)]


class DocumentBody(Body):
    """A document of a new session: where its bytes are and what it is called.

    raw_s3_version_id, raw_s3_etag: which object it must be; if it is another, the document is FAILED.
    """

    source_name: Name = Field(examples=["agreements/lease.md"])
    mime_type: Annotated[str, Field(max_length=255)] | None = Field(None, examples=["text/markdown"])
    raw_s3_uri: Annotated[str, Field(pattern=r"^s3://[^/]+/.+$", max_length=2048)] = Field(
        examples=["s3://rlm/raw/acme/4f1c/lease.md"]
    )
    raw_s3_version_id: Mark | None = None
    raw_s3_etag: Mark | None = None


class SessionOptionsBody(Body):
    """LAX sessions are READY once parsed, STRICT ones once indexed."""

    enable_search: bool | None = None
    readiness_mode: Literal["LAX", "STRICT"] = "LAX"


class SessionBody(Body):
    """A new session: its documents and what its executions begin with."""

    ttl_minutes: int = Field(gt=0, le=MAX_TTL_MINUTES, examples=[60])
    docs: list[DocumentBody] = Field(max_length=MAX_DOCUMENTS, json_schema_extra={"minItems": 1})
    options: SessionOptionsBody = SessionOptionsBody()
    models_default: ModelsBody | None = None
    budgets_default: BudgetsBody | None = None


class ExecutionOptionsBody(Body):
    """How an execution is answered. synchronous: the response waits, up to the timeout, for the end.

    evaluate: whether its answer is evaluated afterwards; by default as ENABLE_EVAL_JUDGE has it.
    """

    return_trace: bool = False
    redact_trace: bool = False
    synchronous: bool = False
    synchronous_timeout_seconds: Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS)] = 60.0
    output_mode: Literal["ANSWER", "CONTEXTS"] = "ANSWER"
    context_shape: Literal["documents", "text"] = "documents"
    evaluate: bool | None = None


Question = Annotated[
    str,
    Field(min_length=1, max_length=MAX_QUESTION_CHARS, examples=["Which agreements renew automatically?"]),
    AfterValidator(_encodable),
    AfterValidator(_not_blank),
]


class ExecutionBody(Body):
    """A question over a session."""

    question: Question
    models: ModelsBody | None = None
    budgets: BudgetsBody | None = None
    options: ExecutionOptionsBody = ExecutionOptionsBody()
    continue_from: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="an earlier execution that this question follows up"
    )
    output_schema: dict[str, Any] | None = Field(
        None, description="JSON Schema that the final answer must satisfy"
    )
    reference_answers: Annotated[
        References | None, Field(description="right answers, to score this one against when it is evaluated")
    ] = None


class RecomputeBody(Body):
    """An evaluation to make, or to make again. recompute_baseline: ask the baseline afresh."""

    recompute_baseline: bool = False
    reference_answers: References | None = None
    timeout_seconds: Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS)] = 60.0


class RuntimeOptionsBody(Body):
    """What steps see as `context`, and what is kept of a client-driven execution for its trace."""

    return_trace: bool = False
    redact_trace: bool = False
    context_shape: Literal["documents", "text"] = "documents"


class RuntimeBody(Body):
    """A client-driven execution; all of it may be left out."""

    models: ModelsBody | None = None
    budgets: BudgetsBody | None = None
    options: RuntimeOptionsBody = RuntimeOptionsBody()


class StepOptionsBody(Body):
    """resolve_tools: answer what the step queued before responding."""

    resolve_tools: bool = False


class StepBody(Body):
    """A step of a client-driven execution. state replaces the kept one; reserved keys are ignored."""

    code: Annotated[
        str,
        Field(max_length=MAX_CODE_CHARS, examples=["state['lengths'] = [len(doc) for doc in context]"]),
        AfterValidator(_encodable),
    ]
    state: Any = Field(None, description="a JSON object")
    options: StepOptionsBody = StepOptionsBody()


class LlmRequestBody(Body):
    """A sub-model call, as a step's `tool_requests.llm` lists it."""

    type: Literal["llm", "rlm"] = "llm"
    key: Name
    prompt: Text
    model_hint: Annotated[str, Field(max_length=200)] | None = None
    max_tokens: _Count | None = None
    max_output_tokens: _Count | None = None
    max_output_chars: _Count | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    metadata: dict[str, Any] | None = None


class SearchRequestBody(Body):
    """A search, as a step's `tool_requests.search` lists it."""

    type: Literal["search"] = "search"
    key: Name
    query: Text
    k: Annotated[int, Field(gt=0, le=1000)] = 10
    filters: dict[str, Any] | None = None


class ToolRequestsBody(Body):
    """What a step queued."""

    llm: list[LlmRequestBody] = Field(default_factory=list, max_length=MAX_REQUESTS)
    search: list[SearchRequestBody] = Field(default_factory=list, max_length=MAX_REQUESTS)


class ResolveBody(Body):
    """Requests to answer."""

    tool_requests: ToolRequestsBody
    models: ModelsBody | None = None


class WaitBody(Body):
    """How long to wait for the end, in seconds."""

    timeout_seconds: Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS)] = 60.0


class SpanBody(Body):
    """A range of a document's canonical text, in code points."""

    session_id: Name
    doc_id: Name
    start_char: int = Field(ge=0, lt=2**53)
    end_char: int = Field(ge=0, lt=2**53)


class SpanRefBody(Body):
    """A citation: where the text stands and what it hashes to."""

    tenant_id: Text
    session_id: Text
    doc_id: Text
    doc_index: int = Field(ge=-(2**53), lt=2**53)
    start_char: int = Field(ge=-(2**53), lt=2**53)
    end_char: int = Field(ge=-(2**53), lt=2**53)
    checksum: Text


class CitationBody(SpanRefBody):
    """A citation as an execution has it; what stands beside its reference is not looked at."""

    source_name: Text | None = None
    page: Annotated[int, Field(ge=-(2**53), lt=2**53)] | None = None
    support: Text | None = None
    note: Text | None = None


class VerifyBody(Body):
    """A citation to check."""

    ref: CitationBody


def given(body: BaseModel | None) -> dict[str, Any]:
    """The fields that were sent and are not null."""
    return body.model_dump(exclude_unset=True, exclude_none=True) if body is not None else {}
