"""What the server answers with, as the library's own values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter

from rlm_rs.api.views import CitationView, DocumentView, ExecutionOut, ExecutionRow, SessionOut, VerifiedOut
from rlm_rs.core.answers import Answer, CheckedCitation
from rlm_rs.core.budget import Spend
from rlm_rs.core.citing import ContextItem
from rlm_rs.core.corpus import Document, Failure
from rlm_rs.core.execution import Problem
from rlm_rs.core.records import ExecutionRecord
from rlm_rs.core.spans import SpanRef
from rlm_rs.orchestrator.verifying import Verification

_SPEND = TypeAdapter(Spend)
_CONTEXTS = TypeAdapter(tuple[ContextItem, ...])
_CITATION: TypeAdapter[CheckedCitation] = TypeAdapter(CheckedCitation)
_REF_FIELDS = tuple(field.name for field in fields(SpanRef))


def answer_of(execution: ExecutionOut, session: SessionOut, checks: Sequence[VerifiedOut]) -> Answer:
    """The answer of an execution; checks are those of its citations, in their order."""
    pairs = zip(execution.citations, checks, strict=True)
    return Answer(
        execution_id=execution.execution_id,
        session_id=execution.session_id,
        question=execution.question,
        status=execution.status,
        text=execution.answer,
        value=execution.value,
        partial=execution.partial,
        error=Problem(execution.error.code, execution.error.message) if execution.error else None,
        citations=tuple(_citation(citation, check) for citation, check in pairs),
        contexts=_CONTEXTS.validate_python([item.model_dump() for item in execution.contexts]),
        documents=documents_of(session.docs),
        spend=_SPEND.validate_python(execution.budgets_consumed),
    )


def ref_of(citation: CitationView) -> dict[str, Any]:
    """The SpanRef of a citation, as the server takes it."""
    return citation.model_dump(include=set(_REF_FIELDS))


def _citation(citation: CitationView, check: VerifiedOut) -> CheckedCitation:
    return _CITATION.validate_python(
        {
            **citation.model_dump(exclude=set(_REF_FIELDS)),
            "ref": ref_of(citation),
            "text": check.text or "",
            "verified": check.valid,
        }
    )


def documents_of(docs: Iterable[DocumentView]) -> tuple[Document, ...]:
    """A session's documents."""
    return tuple(_document(view) for view in docs)


def _document(view: DocumentView) -> Document:
    failure = None
    if view.failure_code is not None:
        failure = Failure(view.failure_code, view.failure_reason or view.failure_code)
    return Document(
        doc_id=view.doc_id,
        doc_index=view.doc_index,
        source_name=view.source_name,
        mime_type=view.mime_type,
        ingest_status=view.ingest_status,
        failure=failure,
        raw_s3_uri=view.raw_s3_uri,
        text_s3_uri=view.text_s3_uri,
        meta_s3_uri=view.meta_s3_uri,
        offsets_s3_uri=view.offsets_s3_uri,
        char_length=view.char_length,
        page_count=view.page_count,
        warnings=tuple(view.warnings),
    )


def record_of(row: ExecutionRow) -> ExecutionRecord:
    """An execution in a list."""
    return ExecutionRecord(
        tenant_id=row.tenant_id,
        session_id=row.session_id,
        execution_id=row.execution_id,
        status=row.status,
        question=row.question,
        created_at=row.started_at.timestamp(),
        parent_id=row.parent_id,
        finished_at=row.completed_at.timestamp() if row.completed_at else None,
        turns=row.turns,
        cost_usd=row.cost_usd,
        mode=row.mode,
        output_mode=row.output_mode,
    )


def verification_of(found: VerifiedOut) -> Verification:
    """Whether a citation holds."""
    return Verification(found.valid, found.text or "", found.source_name, found.reason)
