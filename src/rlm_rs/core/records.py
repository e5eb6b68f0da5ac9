"""Rows of the catalog: what lists show and what an execution starts from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from rlm_rs.core.corpus import Document

ReadinessMode = Literal["LAX", "STRICT"]


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
    models_default and budgets_default hold for its executions, field by field, where they name none.
    """

    tenant_id: str
    session_id: str
    status: SessionStatus
    created_at: float
    expires_at: float | None = None
    fingerprint: str | None = None
    options: dict[str, object] = field(default_factory=dict)
    models_default: dict[str, str] = field(default_factory=dict)
    budgets_default: dict[str, Any] = field(default_factory=dict)


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
    mode: str = "ANSWERER"
    output_mode: str = "ANSWER"


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    """An API key as stored: never the key itself, only its HMAC. Times are seconds since the epoch.

    key_hash: hex HMAC-SHA256 of the whole key with API_KEY_PEPPER. key_id: what people name it by.
    """

    key_hash: str
    key_id: str
    tenant_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One mutating request: who asked for what, and how it ended. `at` is seconds since the epoch."""

    tenant_id: str
    at: float
    request_id: str
    key_id: str
    method: str
    path: str
    status: int


class WorkKind(StrEnum):
    """What a worker can be asked to do."""

    INGESTION = "ingestion"
    EXECUTION = "execution"


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A session to ingest or an execution to drive, held under a lease.

    attempts counts the claims so far, this one included; cancel_requested: somebody wants it stopped.
    """

    kind: WorkKind
    tenant_id: str
    item_id: str
    attempts: int = 1
    cancel_requested: bool = False
