"""Putting a session's documents into its search index. Whatever becomes of it, they stay readable."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from rlm_rs.core.corpus import Corpus, Document, IngestStatus
from rlm_rs.core.errors import SearchFailed
from rlm_rs.core.records import DocumentRecord, SessionRecord, SessionStatus
from rlm_rs.orchestrator.ports import Ports, Service

SEARCH = "enable_search"
SEARCH_FAILURE = "search_failure"
"""The option of a session that says why it has no index, once that was given up."""

_LIVE = (SessionStatus.CREATING, SessionStatus.READY)


def wants_index(session: SessionRecord) -> bool:
    """Whether the session is to have an index, and it was not given up."""
    return bool(session.options.get(SEARCH)) and SEARCH_FAILURE not in session.options


def waits_for_index(session: SessionRecord) -> bool:
    """Whether the session is not ready before its index is."""
    return wants_index(session) and session.options.get("readiness_mode") == "STRICT"


async def index_documents(corpus: Corpus, ports: Ports) -> Corpus:
    """Build the index of a session that nobody else is at work on; its documents are then INDEXED.

    Raises `SearchFailed`.
    """
    if ports.search is None:
        raise SearchFailed(reason="there is no search engine here")
    await ports.search.build(corpus)
    documents = [_with_status(document, IngestStatus.INDEXED) for document in corpus.documents]
    changed = [new for new, old in zip(documents, corpus.documents, strict=True) if new is not old]
    await ports.catalog.put_documents(_rows(corpus, changed))
    return replace(corpus, documents=tuple(documents))


async def index_session(session: SessionRecord, service: Service) -> None:
    """Bring a session's documents into its index, unless they are in it or the session is to go.

    May be killed at any point and called again. Raises `SearchFailed`.
    """
    ports, key = service.ports, (session.tenant_id, session.session_id)
    corpus = Corpus(*key, tuple(row.document for row in await ports.catalog.list_documents(*key)))
    waiting = [d for d in corpus.documents if d.readable and d.ingest_status != IngestStatus.INDEXED]
    if not waiting or not await _mark(waiting, IngestStatus.INDEXING, session, service):
        return
    if ports.search is None:
        raise SearchFailed(reason="this worker has no search engine")
    if await _built_unless_stopped(corpus, session, service):
        await _mark(waiting, IngestStatus.INDEXED, session, service)


async def give_up_index(session: SessionRecord, reason: str, service: Service) -> None:
    """Leave a session without an index: it is ready with what was parsed, and says why it has none."""
    catalog, key = service.ports.catalog, (session.tenant_id, session.session_id)
    if session.status not in _LIVE:
        return
    documents = [row.document for row in await catalog.list_documents(*key)]
    await _mark([d for d in documents if d.readable], IngestStatus.PARSED, session, service)
    told = replace(session, status=SessionStatus.READY, options={**session.options, SEARCH_FAILURE: reason})
    await catalog.move_session(told, session.status)


async def _built_unless_stopped(corpus: Corpus, session: SessionRecord, service: Service) -> bool:
    """Whether the index was built; False if the session is to go, and then it may be there in part."""
    if service.ports.search is None:
        return False
    stop = service.signals.watch(session.session_id)
    stopped = asyncio.ensure_future(stop.wait())
    building = asyncio.ensure_future(service.ports.search.build(corpus))
    try:
        await asyncio.wait({stopped, building}, return_when=asyncio.FIRST_COMPLETED)
        if building.done():
            await building
        return building.done()
    finally:
        stopped.cancel()
        building.cancel()
        await asyncio.gather(building, return_exceptions=True)
        service.signals.unwatch(session.session_id, stop)


async def _mark(
    documents: Iterable[Document], status: IngestStatus, session: SessionRecord, service: Service
) -> bool:
    """Write where documents stand; not if the session is to go, whose rows they would outlive."""
    catalog = service.ports.catalog
    current = await catalog.get_session(session.tenant_id, session.session_id)
    if current is None or current.status not in _LIVE:
        return False
    corpus = Corpus(session.tenant_id, session.session_id, ())
    await catalog.put_documents(_rows(corpus, (_with_status(document, status) for document in documents)))
    return True


def _with_status(document: Document, status: IngestStatus) -> Document:
    if not document.readable or document.ingest_status == status:
        return document
    return replace(document, ingest_status=status)


def _rows(corpus: Corpus, documents: Iterable[Document]) -> list[DocumentRecord]:
    return [DocumentRecord(corpus.tenant_id, corpus.session_id, document) for document in documents]
