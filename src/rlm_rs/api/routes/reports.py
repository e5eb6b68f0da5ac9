"""An execution as a file to keep or to send."""

from __future__ import annotations

from fastapi import APIRouter, Response

from rlm_rs.api.envelope import RECORDED, documented
from rlm_rs.api.gate import Reader
from rlm_rs.api.parts import ServiceDep
from rlm_rs.ui.report import report_of

router = APIRouter(prefix="/v1", tags=["executions"])

# a file to be saved; where it is shown all the same, it is nobody's page
HEADERS = {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}


@router.get(
    "/executions/{execution_id}/report",
    response_class=Response,
    responses={
        **documented(*RECORDED),
        200: {"content": {"text/html": {}}, "description": "one HTML file that needs no network"},
    },
)
async def get_report(execution_id: str, caller: Reader, service: ServiceDep) -> Response:
    """A self-contained report: answer, citations in their text, turns, sub-calls, children."""
    page = await report_of(caller.tenant_id, execution_id, service.ports)
    named = {"Content-Disposition": f'attachment; filename="{execution_id}.html"'}
    return Response(page, headers={**HEADERS, **named}, media_type="text/html; charset=utf-8")
