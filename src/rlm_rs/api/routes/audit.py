"""The audit log of a tenant."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from rlm_rs.api.envelope import documented
from rlm_rs.api.gate import Admin
from rlm_rs.api.pages import Cursor, Limit
from rlm_rs.api.parts import PartsDep
from rlm_rs.api.service_views import AuditPage

router = APIRouter(prefix="/v1", tags=["audit"])


@router.get("/audit", responses=documented())
async def list_audit(caller: Admin, parts: PartsDep, limit: Limit = 100, cursor: Cursor = None) -> AuditPage:
    """Every mutating request of the tenant, newest first. Needs the scope `admin`."""
    entries, following = await parts.wiring.audit.list_entries(caller.tenant_id, limit, cursor)
    return AuditPage.model_validate(
        {"entries": [asdict(entry) for entry in entries], "next_cursor": following}
    )
