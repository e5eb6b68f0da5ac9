"""Between the API's shapes and the orchestrator's values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rlm_rs.api.schemas import (
    BudgetsBody,
    DocumentBody,
    ExecutionBody,
    ExecutionOptionsBody,
    ModelsBody,
    ResolveBody,
    RuntimeBody,
    RuntimeOptionsBody,
    SessionBody,
    SpanRefBody,
    given,
)
from rlm_rs.api.views import (
    CharRange,
    CitationView,
    ContextView,
    DocumentView,
    EvaluationOut,
    ExecutionOut,
    ExecutionRow,
    PageView,
    Readiness,
    Reason,
    SessionOut,
    SessionRow,
    SpanOut,
    SpanRefView,
    StepOut,
    StructureOut,
    VerifiedOut,
)
from rlm_rs.core.citing import Citation
from rlm_rs.core.corpus import UTF8_TEXT, Document
from rlm_rs.core.execution import Run
from rlm_rs.core.records import EvaluationRecord, ExecutionRecord, ExecutionStatus, SessionRecord
from rlm_rs.core.spans import SpanRef
from rlm_rs.orchestrator.executions import Choices, NewExecution
from rlm_rs.orchestrator.lifecycle import NewDocument, NewSession, SessionView
from rlm_rs.orchestrator.ports import Ports
from rlm_rs.orchestrator.runtime import NewRuntime, StepView
from rlm_rs.orchestrator.tracing.evaluated import evaluation_of_run
from rlm_rs.orchestrator.tracing.stored import trace_uri
from rlm_rs.orchestrator.uploads import StoredUpload
from rlm_rs.orchestrator.verifying import Verification

CHAT_TTL_MINUTES = 60
CHAT_OPTIONS = {"surface": "chat"}


def new_session(body: SessionBody) -> NewSession:
    """The session a client wants."""
    return NewSession(
        docs=tuple(_new_document(document) for document in body.docs),
        ttl_minutes=body.ttl_minutes,
        enable_search=body.options.enable_search,
        readiness_mode=body.options.readiness_mode,
        models_default=given(body.models_default),
        budgets_default=given(body.budgets_default),
    )


def _new_document(body: DocumentBody) -> NewDocument:
    return NewDocument(
        source_name=body.source_name,
        raw_s3_uri=body.raw_s3_uri,
        mime_type=body.mime_type,
        raw_s3_version_id=body.raw_s3_version_id,
        raw_s3_etag=body.raw_s3_etag,
    )


def chat_session(uploads: Iterable[tuple[str, StoredUpload]]) -> NewSession:
    """The session over a chat's long messages."""
    docs = tuple(NewDocument(name, upload.raw_s3_uri, UTF8_TEXT) for name, upload in uploads)
    return NewSession(docs=docs, ttl_minutes=CHAT_TTL_MINUTES, enable_search=False)


def session_out(view: SessionView) -> SessionOut:
    """A session with its documents."""
    session = view.session
    return SessionOut(
        **session_row(session).model_dump(),
        models_default=dict(session.models_default),
        budgets_default=dict(session.budgets_default),
        readiness=Readiness(parsed_ready=view.parsed_ready, search_ready=view.search_ready, ready=view.ready),
        docs=[_document(document) for document in view.documents],
    )


def session_row(session: SessionRecord) -> SessionRow:
    """A session in a list."""
    ends = session.expires_at
    return SessionRow(
        session_id=session.session_id,
        id=session.session_id,
        tenant_id=session.tenant_id,
        status=session.status,
        readiness_mode=str(session.options.get("readiness_mode", "LAX")),
        ttl_seconds=round(ends - session.created_at) if ends is not None else None,
        created_at=instant(session.created_at),
        expires_at=instant(ends) if ends is not None else None,
        options=dict(session.options),
    )


def _document(document: Document) -> DocumentView:
    return DocumentView(
        doc_id=document.doc_id,
        doc_index=document.doc_index,
        source_name=document.source_name,
        mime_type=document.mime_type,
        ingest_status=document.ingest_status,
        failure_reason=document.failure.message if document.failure else None,
        failure_code=document.failure.code if document.failure else None,
        warnings=list(document.warnings),
        char_length=document.char_length,
        page_count=document.page_count,
        raw_s3_uri=document.raw_s3_uri,
        text_s3_uri=document.text_s3_uri,
        meta_s3_uri=document.meta_s3_uri,
        offsets_s3_uri=document.offsets_s3_uri,
    )


def status_of(run: Run) -> ExecutionStatus:
    """Where an execution stands."""
    return run.finished.status if run.finished else ExecutionStatus.RUNNING


def execution_out(run: Run, ports: Ports) -> ExecutionOut:
    """An execution as its journal has it. In CONTEXTS mode there is no answer but the contexts."""
    execution, end = run.execution, run.finished
    return ExecutionOut(
        execution_id=execution.execution_id,
        session_id=execution.session_id,
        mode=execution.mode,
        output_mode=execution.output_mode,
        status=status_of(run),
        question=execution.question,
        answer=end.answer if end else None,
        value=end.value if end else None,
        partial=end.partial if end else False,
        error=Reason(code=end.error.code, message=end.error.message) if end and end.error else None,
        citations=[_citation(citation) for citation in (end.citations if end else ())],
        contexts=contexts_of(run),
        models={"root_model": execution.models.root, "sub_model": execution.models.sub},
        budgets_requested=asdict(execution.budgets),
        budgets_consumed=_consumed(run),
        started_at=instant(execution.created_at),
        completed_at=instant(end.at) if end else None,
        parent_id=execution.parent.execution_id if execution.parent else None,
        trace_s3_uri=_trace_uri(run, ports),
    )


def _trace_uri(run: Run, ports: Ports) -> str | None:
    asked = run.execution.options.get("return_trace") and run.execution.parent is None
    return trace_uri(run, ports.bucket) if asked and run.finished and ports.keep_traces else None


def evaluation_out(run: Run, record: EvaluationRecord) -> EvaluationOut:
    """How good an execution's answer is."""
    found = evaluation_of_run(run, record)
    found |= {name: instant(found[name]) for name in ("created_at", "updated_at")}
    return EvaluationOut.model_validate(found)


def _consumed(run: Run) -> dict[str, Any]:
    seconds = round(run.spend.seconds, 3)
    return {**asdict(run.spend), "seconds": seconds, "total_seconds": seconds}


def _citation(citation: Citation) -> CitationView:
    return CitationView(
        **asdict(citation.ref),
        source_name=citation.source_name,
        page=citation.page,
        support=citation.support,
        note=citation.note,
    )


def new_execution(body: ExecutionBody) -> NewExecution:
    """The execution a client wants."""
    options = body.options
    return NewExecution(
        question=body.question,
        choices=_choices(body.models, body.budgets, {**_trace_options(options), **_evaluation(body)}),
        output_mode=options.output_mode,
        context_shape=options.context_shape,
        continue_from=body.continue_from,
        output_schema=body.output_schema,
    )


def _evaluation(body: ExecutionBody) -> dict[str, Any]:
    """What was said of evaluating it, and nothing where nothing was."""
    said = {"evaluate": body.options.evaluate, "reference_answers": body.reference_answers}
    return {name: value for name, value in said.items() if value is not None}


def new_runtime(body: RuntimeBody) -> NewRuntime:
    """The client-driven execution a client wants."""
    options = body.options
    return NewRuntime(_choices(body.models, body.budgets, _trace_options(options)), options.context_shape)


def chat_execution(question: str, root_model: str | None, schema: Mapping[str, Any] | None) -> NewExecution:
    """The execution that answers a chat."""
    choices = Choices(root_model=root_model, options=CHAT_OPTIONS)
    return NewExecution(question, choices, context_shape="text", output_schema=schema)


def _choices(models: ModelsBody | None, budgets: BudgetsBody | None, options: Mapping[str, Any]) -> Choices:
    named = models or ModelsBody()
    return Choices(named.root_model, named.sub_model, given(budgets), options)


def _trace_options(options: ExecutionOptionsBody | RuntimeOptionsBody) -> dict[str, Any]:
    return {"return_trace": options.return_trace, "redact_trace": options.redact_trace}


def step_out(view: StepView) -> StepOut:
    """What a client's step gave."""
    run = view.run
    return StepOut(
        success=view.success,
        stdout=view.stdout,
        state=view.state,
        span_log=view.span_log,
        tool_requests=view.tool_requests,
        final=view.final,
        error=view.error,
        turn_index=run.turns[-1].index,
        statuses=dict(run.tool_status),
    )


def span_out(text: str, ref: SpanRef) -> SpanOut:
    """The text of a range and a citation of it."""
    return SpanOut(text=text, ref=SpanRefView(**asdict(ref)))


def span_ref(body: SpanRefBody) -> SpanRef:
    """The citation a client sent."""
    return SpanRef(**{name: getattr(body, name) for name in SpanRefBody.model_fields})


def structure_out(document: Document, meta: Mapping[str, Any]) -> StructureOut:
    """How a document's text is divided."""
    structure = meta.get("structure", {})
    return StructureOut(
        doc_id=document.doc_id,
        title=structure.get("title"),
        char_length=document.char_length,
        pages=[PageView.model_validate(page) for page in meta.get("pages", ())],
        sections=structure.get("sections", []),
        tables=meta.get("tables", []),
    )


def verified_out(ref: SpanRef, found: Verification, page: int | None) -> VerifiedOut:
    """Whether a citation holds."""
    return VerifiedOut(
        valid=found.valid,
        text=found.text,
        source_name=found.source_name,
        page=page,
        char_range=CharRange(start_char=ref.start_char, end_char=ref.end_char),
        reason=found.reason,
    )


def tool_requests_of(body: ResolveBody) -> dict[str, list[dict[str, Any]]]:
    """Requests as the orchestrator reads them."""
    wanted = body.tool_requests
    return {"llm": [given(item) for item in wanted.llm], "search": [given(item) for item in wanted.search]}


def contexts_of(run: Run) -> list[ContextView]:
    """The results of CONTEXTS mode so far."""
    items = run.finished.contexts if run.finished else ()
    return [ContextView.model_validate(asdict(item)) for item in items]


def execution_row(row: ExecutionRecord) -> ExecutionRow:
    """An execution in a list."""
    return ExecutionRow(
        execution_id=row.execution_id,
        tenant_id=row.tenant_id,
        session_id=row.session_id,
        status=row.status,
        mode=row.mode,
        output_mode=row.output_mode,
        question=row.question,
        started_at=instant(row.created_at),
        completed_at=instant(row.finished_at) if row.finished_at else None,
        parent_id=row.parent_id,
        turns=row.turns,
        cost_usd=row.cost_usd,
    )


def instant(seconds: float) -> datetime:
    """Seconds since the epoch as clients see them: RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
