"""Reading ranges of documents and checking citations."""

from __future__ import annotations

from fastapi import APIRouter

from rlm_rs.api.envelope import documented
from rlm_rs.api.gate import Reader
from rlm_rs.api.parts import ServiceDep
from rlm_rs.api.schemas import SpanBody, VerifyBody
from rlm_rs.api.shapes import span_out, span_ref, structure_out, verified_out
from rlm_rs.api.views import SpanOut, StructureOut, VerifiedOut
from rlm_rs.core.errors import BlobNotFound, DocumentNotFound, SessionExpired, SessionNotFound
from rlm_rs.orchestrator.passages import check_citation, read_span, read_structure

router = APIRouter(prefix="/v1", tags=["citations"])


@router.post(
    "/spans/get", responses=documented(SessionNotFound, DocumentNotFound, SessionExpired, BlobNotFound)
)
async def get_span(body: SpanBody, caller: Reader, service: ServiceDep) -> SpanOut:
    """The text of a range and a citation of it. A range past the end is cut there."""
    return span_out(
        *await read_span(
            caller.tenant_id, body.session_id, body.doc_id, body.start_char, body.end_char, service
        )
    )


@router.post("/citations/verify", responses=documented(SessionNotFound, SessionExpired, BlobNotFound))
async def verify_citation(body: VerifyBody, caller: Reader, service: ServiceDep) -> VerifiedOut:
    """Recompute a citation from the stored text. A mismatch of any kind is `valid: false`. At most a million
    characters of the text are given; the checksum is of all of it."""
    ref = span_ref(body.ref)
    return verified_out(ref, *await check_citation(caller.tenant_id, ref, service))


@router.get(
    "/sessions/{session_id}/docs/{doc_id}/structure",
    responses=documented(SessionNotFound, DocumentNotFound, SessionExpired, BlobNotFound),
)
async def get_structure(session_id: str, doc_id: str, caller: Reader, service: ServiceDep) -> StructureOut:
    """How a document's text is divided: pages, sections and tables as ranges of it, in code points."""
    return structure_out(*await read_structure(caller.tenant_id, session_id, doc_id, service))
