"""Ranges of a session's documents, read and checked for whoever asks from outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlm_rs.core.corpus import Corpus, Document
from rlm_rs.core.errors import DocumentNotFound, SessionNotFound, ValidationFailed
from rlm_rs.core.spans import SpanRef, checksum
from rlm_rs.orchestrator import lifecycle
from rlm_rs.orchestrator.ports import Service
from rlm_rs.orchestrator.sessions import corpus_of
from rlm_rs.orchestrator.verifying import Verification, verify

MAX_SPAN_CHARS = 1_000_000


async def read_span(
    tenant_id: str, session_id: str, doc_id: str, start_char: int, end_char: int, service: Service
) -> tuple[str, SpanRef]:
    """The text of a range and a citation of it. A range past the end is cut there.

    Raises `SessionNotFound`, `SessionExpired`, `DocumentNotFound`, `ValidationFailed`.
    """
    if end_char < start_char:
        raise ValidationFailed(reason="end_char must not be before start_char.")
    if end_char - start_char > MAX_SPAN_CHARS:
        raise ValidationFailed(reason=f"At most {MAX_SPAN_CHARS} characters at a time.")
    corpus = await _corpus(tenant_id, session_id, service)
    document = _document(corpus, doc_id)
    start, end = min(start_char, document.char_length), min(end_char, document.char_length)
    text = await service.ports.texts.read(document, start, end)
    return text, SpanRef(tenant_id, session_id, doc_id, document.doc_index, start, end, checksum(text))


async def read_structure(
    tenant_id: str, session_id: str, doc_id: str, service: Service
) -> tuple[Document, Mapping[str, Any]]:
    """A document and how its text is divided (`meta.json`). Raises as `read_span` does."""
    document = _document(await _corpus(tenant_id, session_id, service), doc_id)
    return document, await service.ports.texts.meta(document)


async def check_citation(tenant_id: str, ref: SpanRef, service: Service) -> tuple[Verification, int | None]:
    """Recompute a citation; also the page it begins on, where it holds and there are pages.

    All of its range is checked, and at most `MAX_SPAN_CHARS` of its text are given. Raises
    `SessionNotFound`, also for another tenant's, and `SessionExpired`.
    """
    if ref.tenant_id != tenant_id:
        raise SessionNotFound(session_id=ref.session_id)
    corpus, texts = await _corpus(tenant_id, ref.session_id, service), service.ports.texts
    found = await verify(ref, corpus, texts, MAX_SPAN_CHARS)
    if not found.valid:
        return found, None
    return found, await texts.page_of(corpus.documents[ref.doc_index], ref.start_char)


async def _corpus(tenant_id: str, session_id: str, service: Service) -> Corpus:
    # raises for a session that has expired
    await lifecycle.live_session(tenant_id, session_id, service)
    return await corpus_of(tenant_id, session_id, service.ports.catalog)


def _document(corpus: Corpus, doc_id: str) -> Document:
    for document in corpus.documents:
        if document.doc_id == doc_id:
            return document
    raise DocumentNotFound(doc_id=doc_id, session_id=corpus.session_id)
