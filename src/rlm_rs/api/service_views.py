"""What the service answers about itself: who asks, how it is, what was changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel


class WhoAmI(BaseModel):
    """Whose key a request came with, what it may do, and what is used where a request says nothing."""

    tenant_id: str
    key_id: str
    key_name: str
    scopes: list[str]
    models: dict[str, str]
    budgets: dict[str, Any]
    traces: bool
    version: str


class SignInLink(BaseModel):
    """A link's secret: it signs one browser in, once, as the key that asked for it."""

    token: str
    expires_in_seconds: float


class AuditRow(BaseModel):
    """One mutating request."""

    at: datetime
    request_id: str
    key_id: str
    method: str
    path: str
    status: int


class AuditPage(BaseModel):
    """The audit log, newest first; next_cursor is null at the end."""

    entries: list[AuditRow]
    next_cursor: str | None


class Live(BaseModel):
    """The process runs."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Everything it needs works; checks say what was found."""

    status: Literal["ok"] = "ok"
    checks: dict[str, str] = {}
