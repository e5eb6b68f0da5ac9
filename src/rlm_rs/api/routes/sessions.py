"""Sessions and uploads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.datastructures import UploadFile

from rlm_rs.api.envelope import documented
from rlm_rs.api.gate import Reader, Writer
from rlm_rs.api.idempotency import Idempotent
from rlm_rs.api.pages import Cursor, Limit
from rlm_rs.api.parts import ServiceDep
from rlm_rs.api.schemas import SessionBody
from rlm_rs.api.shapes import new_session, session_out, session_row
from rlm_rs.api.views import Deleting, SessionOut, SessionPage, UploadOut
from rlm_rs.core.errors import (
    IdempotencyConflict,
    RequestUnderWay,
    SessionExpired,
    SessionNotFound,
    ValidationFailed,
)
from rlm_rs.core.records import SessionStatus
from rlm_rs.orchestrator import lifecycle
from rlm_rs.orchestrator.uploads import store_upload

router = APIRouter(prefix="/v1", tags=["sessions"])

MULTIPART = "multipart/form-data"
UPLOAD_CHUNK_BYTES = 1 << 20
_UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            MULTIPART: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


# a request that is sent again may find its session deleted, or its time over
_CREATING = (IdempotencyConflict, RequestUnderWay, SessionNotFound, SessionExpired)


@router.post("/sessions", status_code=202, responses=documented(*_CREATING))
async def create_session(
    body: SessionBody, caller: Writer, service: ServiceDep, response: Response, once: Idempotent
) -> SessionOut:
    """Make a session; its documents are parsed meanwhile. GET it until `readiness.ready`."""

    async def make() -> str:
        made = await lifecycle.create_session(caller.tenant_id, new_session(body), service)
        return made.session.session_id

    session_id = await once.result(body, make)
    response.headers["Location"] = f"/v1/sessions/{session_id}"
    return session_out(await lifecycle.session_view(caller.tenant_id, session_id, service))


@router.get("/sessions", responses=documented())
async def list_sessions(
    caller: Reader,
    service: ServiceDep,
    limit: Limit = 100,
    cursor: Cursor = None,
    status: Annotated[SessionStatus | None, Query()] = None,
) -> SessionPage:
    """Sessions, newest first. With `status` a page may hold fewer than `limit` although more follow."""
    rows, following = await lifecycle.list_sessions(caller.tenant_id, limit, cursor, service)
    shown = [session_row(row) for row in rows if status in (None, row.status)]
    return SessionPage(sessions=shown, next_cursor=following)


@router.get("/sessions/{session_id}", responses=documented(SessionNotFound, SessionExpired))
async def get_session(session_id: str, caller: Reader, service: ServiceDep) -> SessionOut:
    """A session, its readiness, and how far each document has come."""
    return session_out(await lifecycle.session_view(caller.tenant_id, session_id, service))


@router.delete("/sessions/{session_id}", responses=documented(SessionNotFound))
async def delete_session(session_id: str, caller: Writer, service: ServiceDep) -> Deleting:
    """Remove a session with everything of it: documents, texts, executions, journals."""
    await lifecycle.delete_session(caller.tenant_id, session_id, service)
    return Deleting()


@router.post("/uploads", status_code=201, responses=documented(ValidationFailed), openapi_extra=_UPLOAD_BODY)
async def upload(
    request: Request,
    caller: Writer,
    service: ServiceDep,
    filename: Annotated[str | None, Query(max_length=1024, description="what to call it")] = None,
    content_type: Annotated[str, Header(max_length=1024)] = "application/octet-stream",
) -> UploadOut:
    """Store bytes: the body as it is, or the `file` field of a form. `raw_s3_uri` names them afterwards."""
    if content_type.partition(";")[0].strip().lower() == MULTIPART:
        return await _form_upload(request, caller.tenant_id, filename, service)
    return await _stored(caller.tenant_id, filename or "upload", request.stream(), service)


async def _form_upload(
    request: Request, tenant_id: str, filename: str | None, service: ServiceDep
) -> UploadOut:
    async with request.form(max_files=1) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise ValidationFailed(reason="The form needs a field `file` that is a file.")
        return await _stored(tenant_id, filename or file.filename or "upload", _pieces(file), service)


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while piece := await file.read(UPLOAD_CHUNK_BYTES):
        yield piece


async def _stored(tenant_id: str, name: str, pieces: AsyncIterator[bytes], service: ServiceDep) -> UploadOut:
    made = await store_upload(tenant_id, name, pieces, service)
    return UploadOut(raw_s3_uri=made.raw_s3_uri, byte_length=made.byte_length, checksum=made.checksum)
