"""Rows of the catalog: what lists show and what an execution starts from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from rlm_rs.core.corpus import Document

MAX_DOCUMENTS = 10_000
"""What a session holds at most."""
MAX_TTL_MINUTES = 5 * 366 * 24 * 60
"""The longest life a session can be given; one that is given none has no end."""

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


class EvaluationStatus(StrEnum):
    """Life of an evaluation. RUNNING also while it waits for a worker."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class EvaluationCall:
    """One paid call of an evaluation. purpose: `baseline`, or the metric and whose answer it judged.

    cached_at: URI of its record in the call cache, which holds the prompt.
    """

    purpose: str
    model: str
    cached_at: str
    cache_hit: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """How good an execution's answer is. Times are seconds since the epoch.

    revision counts the requests to evaluate it, from 1; with renew_baseline the baseline is asked afresh.
    baseline_*: what the root model answers with all documents in its window; None until it was asked, and a
    skip reason where it was not. judge_metrics: by whose answer it is (`answerer`, `baseline`) and metric,
    None where there is no score; skip_reasons and judge_details likewise. reference_scores: by whose answer
    and score. failure: why an evaluation FAILED, one sentence.
    """

    tenant_id: str
    session_id: str
    execution_id: str
    evaluation_id: str
    created_at: float
    updated_at: float
    revision: int = 1
    status: EvaluationStatus = EvaluationStatus.RUNNING
    renew_baseline: bool = False
    failure: str | None = None
    baseline_status: str = "RUNNING"
    baseline_skip_reason: str | None = None
    baseline_model: str | None = None
    baseline_answer: str | None = None
    baseline_input_tokens: int | None = None
    baseline_context_window: int | None = None
    judge_model: str | None = None
    judge_metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)
    skip_reasons: dict[str, dict[str, str]] = field(default_factory=dict)
    judge_details: dict[str, dict[str, Any]] = field(default_factory=dict)
    contexts_used: str | None = None
    reference_answers: tuple[str, ...] = ()
    reference_scores: dict[str, dict[str, float]] = field(default_factory=dict)
    calls: tuple[EvaluationCall, ...] = ()


class WorkKind(StrEnum):
    """What a worker can be asked to do."""

    INGESTION = "ingestion"
    EXECUTION = "execution"
    EVALUATION = "evaluation"


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A session to ingest, an execution to drive or to evaluate, held under a lease.

    attempts counts the claims so far, this one included; cancel_requested: somebody wants it stopped.
    request_id: of the request that asked for it, empty where none did; for the log.
    """

    kind: WorkKind
    tenant_id: str
    item_id: str
    attempts: int = 1
    cancel_requested: bool = False
    request_id: str = ""
