"""What an ask gives back: the answer, its citations already checked, the documents, the spend."""

from __future__ import annotations

from dataclasses import asdict, dataclass, is_dataclass
from typing import TYPE_CHECKING, Any, Generic

from rlm_rs.core.answer_html import answer_html
from rlm_rs.core.budget import Spend
from rlm_rs.core.citing import ContextItem, Support
from rlm_rs.core.corpus import Document
from rlm_rs.core.errors import RlmError
from rlm_rs.core.execution import Problem
from rlm_rs.core.records import ExecutionStatus
from rlm_rs.core.spans import SpanRef

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Value = TypeVar("Value", default=Any)
else:
    from typing import TypeVar

    Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class CheckedCitation:
    """A citation with the text that stands there now. `verified`: its checksum was recomputed and holds."""

    ref: SpanRef
    source_name: str
    page: int | None
    text: str
    support: Support
    verified: bool
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Answer(Generic[Value]):
    """The outcome of an execution. `partial`: a best answer given because a budget ran out.

    text is the answer (None in CONTEXTS mode, or when there is none); value is the same as JSON where the
    code answered with more than text, and an instance of `output` where that was asked for. citations stand
    in the order of the answer's marks `[1]`, `[2]`, ….
    """

    execution_id: str
    session_id: str
    question: str
    status: ExecutionStatus
    text: str | None
    value: Value = None  # type: ignore[assignment]
    partial: bool = False
    error: Problem | None = None
    citations: tuple[CheckedCitation, ...] = ()
    contexts: tuple[ContextItem, ...] = ()
    documents: tuple[Document, ...] = ()
    spend: Spend = Spend()

    def __str__(self) -> str:
        return self.text or ""

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of `rlm ask --json`."""
        return {
            "execution_id": self.execution_id,
            "session_id": self.session_id,
            "question": self.question,
            "status": str(self.status),
            "partial": self.partial,
            "answer": self.text,
            "value": _plain(self.value),
            "error": asdict(self.error) if self.error else None,
            "citations": [asdict(citation) for citation in self.citations],
            **({"contexts": [asdict(item) for item in self.contexts]} if self.contexts else {}),
            "documents": [_document_dict(document) for document in self.documents],
            "spend": _spend_dict(self.spend),
        }

    def _repr_html_(self) -> str:
        """Shown by notebooks: the answer, each mark opening the quoted source."""
        return answer_html(self)


class ExecutionFailed(RlmError):
    """{reason}"""

    code, status = "EXECUTION_FAILED", 502

    def __init__(self, result: Answer, reason: str | None = None) -> None:
        self.result = result
        reason = reason or (result.error.message if result.error else f"the execution ended {result.status}")
        super().__init__(reason=reason, execution_id=result.execution_id)


def answered(result: Answer) -> Answer:
    """The result. Raises `ExecutionFailed` if there is nothing in it to read."""
    if result.text is None and not result.contexts and result.status != "COMPLETED":
        raise ExecutionFailed(result)
    return result


def _plain(value: Any) -> Any:
    """A value as JSON has it, also where it is an instance of a Pydantic model or a dataclass."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _document_dict(document: Document) -> dict[str, Any]:
    return {
        "doc_index": document.doc_index,
        "doc_id": document.doc_id,
        "source_name": document.source_name,
        "mime_type": document.mime_type,
        "char_length": document.char_length,
        "page_count": document.page_count,
        "ingest_status": str(document.ingest_status),
        "failure_reason": document.failure.message if document.failure else None,
        "failure_code": document.failure.code if document.failure else None,
        "warnings": list(document.warnings),
    }


def _spend_dict(spend: Spend) -> dict[str, Any]:
    return {**asdict(spend), "seconds": round(spend.seconds, 3)}
