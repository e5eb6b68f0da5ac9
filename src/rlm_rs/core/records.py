"""Rows of the catalog: what lists show and what an execution starts from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from rlm_rs.core.corpus import Document


class SessionStatus(StrEnum):
    """Life of a session."""

    CREATING = "CREATING"
    READY = "READY"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    DELETING = "DELETING"


class ExecutionStatus(StrEnum):
    """Life of an execution. All but RUNNING are final."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMEOUT = "TIMEOUT"
    BUDGET_EXCEEDED = "BUDGET_EXCEEDED"
    MAX_TURNS_EXCEEDED = "MAX_TURNS_EXCEEDED"


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A corpus plus configuration, with a time to live. Times are seconds since the epoch.

    fingerprint identifies the corpus by content, so that the same files need no second parsing.
    """

    tenant_id: str
    session_id: str
    status: SessionStatus
    created_at: float
    expires_at: float | None = None
    fingerprint: str | None = None
    options: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A document's row: the document and the session it belongs to."""

    tenant_id: str
    session_id: str
    document: Document


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """An execution's row: a projection of its journal for lists, brought up to date when it ends."""

    tenant_id: str
    session_id: str
    execution_id: str
    status: ExecutionStatus
    question: str
    created_at: float
    parent_id: str | None = None
    finished_at: float | None = None
    turns: int = 0
    cost_usd: float | None = None
