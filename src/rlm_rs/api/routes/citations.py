"""Reading ranges of documents and checking citations."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from rlm_rs.api.envelope import documented
from rlm_rs.api.gate import Reader
from rlm_rs.api.parts import ServiceDep
from rlm_rs.api.schemas import SpanBody, VerifyBody
from rlm_rs.api.views import CharRange, PageView, SpanOut, SpanRefView, StructureOut, VerifiedOut
from rlm_rs.core.corpus import Corpus, Document
from rlm_rs.core.errors import (
    BlobNotFound,
    DocumentNotFound,
    SessionExpired,
    SessionNotFound,
    ValidationFailed,
)
from rlm_rs.core.spans import SpanRef, checksum
from rlm_rs.orchestrator import lifecycle
from rlm_rs.orchestrator.ports import Service
from rlm_rs.orchestrator.sessions import corpus_of
from rlm_rs.orchestrator.verifying import verify

router = APIRouter(prefix="/v1", tags=["citations"])

MAX_SPAN_CHARS = 1_000_000


@router.post(
    "/spans/get", responses=documented(SessionNotFound, DocumentNotFound, SessionExpired, BlobNotFound)
)
async def get_span(body: SpanBody, caller: Reader, service: ServiceDep) -> SpanOut:
    """The text of a range and a citation of it. A range past the end is cut there."""
    if body.end_char < body.start_char:
        raise ValidationFailed(reason="end_char must not be before start_char.")
    if body.end_char - body.start_char > MAX_SPAN_CHARS:
        raise ValidationFailed(reason=f"At most {MAX_SPAN_CHARS} characters at a time.")
    corpus = await _corpus(caller.tenant_id, body.session_id, service)
    document = _document(corpus, body.doc_id)
    start = min(body.start_char, document.char_length)
    end = min(body.end_char, document.char_length)
    text = await service.ports.texts.read(document, start, end)
    ref = SpanRef(
        corpus.tenant_id, corpus.session_id, document.doc_id, document.doc_index, start, end, checksum(text)
    )
    return SpanOut(text=text, ref=SpanRefView(**asdict(ref)))


@router.post("/citations/verify", responses=documented(SessionNotFound, SessionExpired))
async def verify_citation(body: VerifyBody, caller: Reader, service: ServiceDep) -> VerifiedOut:
    """Recompute a citation from the stored text. A mismatch of any kind is `valid: false`."""
    ref = SpanRef(**body.ref.model_dump())
    if ref.tenant_id != caller.tenant_id:
        raise SessionNotFound(session_id=ref.session_id)
    corpus = await _corpus(caller.tenant_id, ref.session_id, service)
    found = await verify(ref, corpus, service.ports.texts)
    return VerifiedOut(
        valid=found.valid,
        text=found.text,
        source_name=found.source_name,
        char_range=CharRange(start_char=ref.start_char, end_char=ref.end_char),
        reason=found.reason,
    )


@router.get(
    "/sessions/{session_id}/docs/{doc_id}/structure",
    responses=documented(SessionNotFound, DocumentNotFound, SessionExpired, BlobNotFound),
)
async def get_structure(session_id: str, doc_id: str, caller: Reader, service: ServiceDep) -> StructureOut:
    """How a document's text is divided: pages, sections and tables as ranges of it, in code points."""
    document = _document(await _corpus(caller.tenant_id, session_id, service), doc_id)
    meta = await service.ports.texts.meta(document)
    structure = meta.get("structure", {})
    return StructureOut(
        doc_id=doc_id,
        title=structure.get("title"),
        char_length=document.char_length,
        pages=[PageView.model_validate(page) for page in meta.get("pages", ())],
        sections=structure.get("sections", []),
        tables=meta.get("tables", []),
    )


async def _corpus(tenant_id: str, session_id: str, service: Service) -> Corpus:
    # raises for a session that has expired
    await lifecycle.session_view(tenant_id, session_id, service)
    return await corpus_of(tenant_id, session_id, service.ports.catalog)


def _document(corpus: Corpus, doc_id: str) -> Document:
    for document in corpus.documents:
        if document.doc_id == doc_id:
            return document
    raise DocumentNotFound(doc_id=doc_id, session_id=corpus.session_id)
