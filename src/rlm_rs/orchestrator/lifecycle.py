"""The life of a session in the service: created, read in, ready, and in the end really removed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from rlm_rs.core.corpus import Corpus, Document, Failure, IngestStatus
from rlm_rs.core.errors import (
    SearchFailed,
    SessionExpired,
    SessionNotFound,
    SessionNotReady,
    ValidationFailed,
)
from rlm_rs.core.records import (
    MAX_DOCUMENTS,
    MAX_TTL_MINUTES,
    DocumentRecord,
    ReadinessMode,
    SessionRecord,
    SessionStatus,
    WorkKind,
)
from rlm_rs.orchestrator.indexing import give_up_index, index_session, waits_for_index, wants_index
from rlm_rs.orchestrator.ingestion import failed
from rlm_rs.orchestrator.ports import Service
from rlm_rs.orchestrator.removal import remove_session, remove_texts
from rlm_rs.orchestrator.sessions import corpus_of, new_session_id
from rlm_rs.orchestrator.stored_ingestion import read_in
from rlm_rs.orchestrator.uploads import StoredUpload as StoredUpload
from rlm_rs.orchestrator.uploads import check_source
from rlm_rs.orchestrator.uploads import store_upload as store_upload

LOG = logging.getLogger(__name__)

DEFAULT_MIME = "application/octet-stream"
MAX_NAME_CHARS = 1024
SWEPT_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to be: an object of the blob store and the name it goes by."""

    source_name: str
    raw_s3_uri: str
    mime_type: str | None = None
    raw_s3_version_id: str | None = None
    raw_s3_etag: str | None = None


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session to be. ttl_minutes None: it lives until it is deleted. enable_search None: as configured.

    models_default (`root_model`, `sub_model`) and budgets_default hold for its executions, field by field.
    fingerprint: what `catalog.find_session` finds it by.
    """

    docs: tuple[NewDocument, ...]
    ttl_minutes: int | None = None
    enable_search: bool | None = None
    readiness_mode: ReadinessMode = "LAX"
    models_default: Mapping[str, str] = field(default_factory=dict)
    budgets_default: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session and its documents. It is ready once it can be asked."""

    session: SessionRecord
    documents: tuple[Document, ...]

    @property
    def parsed_ready(self) -> bool:
        """Whether every document was parsed or given up, and at least one can be read."""
        settled = all(d.readable or d.ingest_status == IngestStatus.FAILED for d in self.documents)
        return settled and any(document.readable for document in self.documents)

    @property
    def search_ready(self) -> bool:
        """Whether every readable document is in the search index."""
        readable = [document for document in self.documents if document.readable]
        return bool(readable) and all(d.ingest_status == IngestStatus.INDEXED for d in readable)

    @property
    def ready(self) -> bool:
        """Whether executions may be started."""
        return self.session.status == SessionStatus.READY


async def create_session(tenant_id: str, new: NewSession, service: Service) -> SessionView:
    """Record a session and ask a worker to read its documents in. Raises `ValidationFailed`."""
    search = service.enable_search if new.enable_search is None else new.enable_search
    _check(tenant_id, new, search, service)
    now = time.time()
    session = SessionRecord(
        tenant_id=tenant_id,
        session_id=new_session_id(),
        status=SessionStatus.CREATING,
        created_at=now,
        expires_at=now + new.ttl_minutes * 60 if new.ttl_minutes is not None else None,
        options={"enable_search": search, "readiness_mode": new.readiness_mode},
        models_default=dict(new.models_default),
        budgets_default=dict(new.budgets_default),
        fingerprint=new.fingerprint,
    )
    documents = tuple(_registered(index, document) for index, document in enumerate(new.docs))
    rows = [DocumentRecord(tenant_id, session.session_id, document) for document in documents]
    # work for a session that was never written is dropped; a session without work would wait for ever
    await service.work.add(WorkKind.INGESTION, tenant_id, session.session_id, service.request_id())
    await service.ports.catalog.put_session(session, rows)
    service.signals.added(WorkKind.INGESTION)
    return SessionView(session, documents)


async def session_view(tenant_id: str, session_id: str, service: Service) -> SessionView:
    """A session as it stands. Raises `SessionNotFound`, `SessionExpired`."""
    session = await live_session(tenant_id, session_id, service)
    rows = await service.ports.catalog.list_documents(tenant_id, session_id)
    return SessionView(session, tuple(row.document for row in rows))


async def ready_session(tenant_id: str, session_id: str, service: Service) -> tuple[SessionRecord, Corpus]:
    """A session that can be asked, and its documents.

    Raises `SessionNotFound`, `SessionExpired`, `SessionNotReady`.
    """
    session = await open_session(tenant_id, session_id, service)
    return session, await corpus_of(tenant_id, session_id, service.ports.catalog)


async def open_session(tenant_id: str, session_id: str, service: Service) -> SessionRecord:
    """A session that can be asked, without its documents, of which there may be very many.

    Raises as `ready_session` does.
    """
    session = await live_session(tenant_id, session_id, service)
    if session.status == SessionStatus.READY:
        return session
    view = await session_view(tenant_id, session_id, service)
    raise SessionNotReady(session_id=session_id, reason=_why_not_ready(view))


async def list_sessions(
    tenant_id: str, limit: int, cursor: str | None, service: Service
) -> tuple[list[SessionRecord], str | None]:
    """A page of sessions, newest first; one whose time is over is shown as EXPIRED."""
    rows, following = await service.ports.catalog.list_sessions(tenant_id, limit, cursor)
    return [_as_of(row, time.time()) for row in rows], following


async def delete_session(tenant_id: str, session_id: str, service: Service) -> None:
    """Mark a session as DELETING, which stops its use at once; a worker then removes everything of it.

    Raises `SessionNotFound`. Deleting again is no error while it goes on.
    """
    catalog = service.ports.catalog
    while (session := await catalog.get_session(tenant_id, session_id)) is not None:
        if session.status == SessionStatus.DELETING:
            break
        # its time is over, so that the sweep finds it if the worker's item is lost
        ended = replace(session, status=SessionStatus.DELETING, expires_at=time.time(), fingerprint=None)
        if await catalog.move_session(ended, session.status):
            break
    else:
        raise SessionNotFound(session_id=session_id)
    service.signals.stop(session_id)
    await _ask_for_removal(tenant_id, session_id, service)


async def ask_again_for_removal(tenant_id: str, session_id: str, service: Service) -> None:
    """For who has just ended a session's item: a deletion asked for in its last moments changed nothing."""
    session = await service.ports.catalog.get_session(tenant_id, session_id)
    if session is not None and session.status == SessionStatus.DELETING:
        await _ask_for_removal(tenant_id, session_id, service)


async def _ask_for_removal(tenant_id: str, session_id: str, service: Service) -> None:
    await service.work.add(WorkKind.INGESTION, tenant_id, session_id, service.request_id())
    service.signals.added(WorkKind.INGESTION)


async def expire_sessions(now: float, service: Service, stop: asyncio.Event | None = None) -> int:
    """Remove what sessions hold whose time is over, those of a lost deletion too; returns how many.

    One that cannot be removed is left to the next sweep and keeps no other. `stop` ends it between two.
    """
    count, kept = 0, set[tuple[str, str]]()
    while True:
        ended = await service.ports.catalog.list_ended_sessions(now, SWEPT_AT_ONCE + len(kept))
        left = [session for session in ended if (session.tenant_id, session.session_id) not in kept]
        for session in left:
            if stop is not None and stop.is_set():
                return count
            if await _is_swept(session, service):
                count += 1
            else:
                kept.add((session.tenant_id, session.session_id))
        if not left:
            return count


async def _is_swept(session: SessionRecord, service: Service) -> bool:
    try:
        await remove_session(session, service)
    except Exception:
        # the edge of one session: whatever is wrong with it, those of others go
        LOG.exception("session %s could not be removed", session.session_id)
        return False
    return True


async def ingest_session(tenant_id: str, session_id: str, service: Service) -> None:
    """Read in what a session's documents still lack, or remove a session that is to go.

    May be killed at any point and called again; a document that was read in is not parsed again, and what is
    in the search index is not indexed again. Raises `ParserFailed` if the parser cannot be reached,
    `SearchFailed` if the index cannot be built, and `SessionNotFound`.
    """
    catalog = service.ports.catalog
    session = await catalog.get_session(tenant_id, session_id)
    if session is None:
        raise SessionNotFound(session_id=session_id)
    if session.status == SessionStatus.CREATING:
        documents = await read_in(session, service)
        readable = any(document.readable for document in documents)
        if readable and waits_for_index(session):
            await index_session(session, service)
        settled = replace(session, status=SessionStatus.READY if readable else SessionStatus.FAILED)
        await catalog.move_session(settled, SessionStatus.CREATING)
    current = await catalog.get_session(tenant_id, session_id)
    if current is not None and current.status == SessionStatus.READY and wants_index(current):
        await index_session(current, service)
        current = await catalog.get_session(tenant_id, session_id)
    if current is None or current.status == SessionStatus.EXPIRED:
        await remove_texts(tenant_id, session_id, service)
    elif current.status == SessionStatus.DELETING:
        await remove_session(current, service)


async def fail_session(tenant_id: str, session_id: str, failure: Failure, service: Service) -> None:
    """Give up what could not be read in or indexed of a session; it is ready with the rest, if any."""
    view = await session_view(tenant_id, session_id, service)
    left = [failed(d, failure) for d in view.documents if not (d.readable or d.failure)]
    if left and view.session.status == SessionStatus.CREATING:
        rows = [DocumentRecord(tenant_id, session_id, document) for document in left]
        await service.ports.catalog.put_documents(rows)
    elif wants_index(view.session) and not view.search_ready:
        await give_up_index(view.session, failure.message, service)
    try:
        await ingest_session(tenant_id, session_id, service)
    except SearchFailed as error:
        session = await live_session(tenant_id, session_id, service)
        await give_up_index(session, error.message, service)


async def live_session(tenant_id: str, session_id: str, service: Service) -> SessionRecord:
    """A session's row. Raises `SessionNotFound`, `SessionExpired`."""
    session = await service.ports.catalog.get_session(tenant_id, session_id)
    if session is None:
        raise SessionNotFound(session_id=session_id)
    if _as_of(session, time.time()).status == SessionStatus.EXPIRED:
        raise SessionExpired(session_id=session_id)
    return session


def _as_of(session: SessionRecord, now: float) -> SessionRecord:
    over = session.expires_at is not None and session.expires_at <= now
    if over and session.status != SessionStatus.DELETING:
        return replace(session, status=SessionStatus.EXPIRED)
    return session


def _registered(index: int, new: NewDocument) -> Document:
    return Document(
        doc_id=f"doc_{uuid4().hex}",
        doc_index=index,
        source_name=new.source_name,
        mime_type=new.mime_type or DEFAULT_MIME,
        raw_s3_uri=new.raw_s3_uri,
        raw_s3_version_id=new.raw_s3_version_id,
        raw_s3_etag=new.raw_s3_etag,
    )


def _check(tenant_id: str, new: NewSession, search: bool, service: Service) -> None:
    if not 0 < len(new.docs) <= MAX_DOCUMENTS:
        raise ValidationFailed(reason=f"docs: name 1 to {MAX_DOCUMENTS:,} documents, not {len(new.docs)}.")
    if new.ttl_minutes is not None and not 0 < new.ttl_minutes <= MAX_TTL_MINUTES:
        raise ValidationFailed(reason=f"ttl_minutes must be 1 to {MAX_TTL_MINUTES:,}.")
    if search and service.ports.search is None:
        raise ValidationFailed(
            reason="enable_search: this service has no search engine. Install rlm-rs[search] there, or leave "
            "enable_search out."
        )
    for document in new.docs:
        if not 0 < len(document.source_name.strip()) <= MAX_NAME_CHARS:
            raise ValidationFailed(reason=f"source_name must have 1 to {MAX_NAME_CHARS} characters.")
        check_source(tenant_id, document.raw_s3_uri, service)
    service.budgets.merged(new.budgets_default)
    service.models(new.models_default.get("root_model"), new.models_default.get("sub_model"))


def _why_not_ready(view: SessionView) -> str:
    status = view.session.status
    if status == SessionStatus.CREATING:
        waiting = sum(not (document.readable or document.failure) for document in view.documents)
        if not waiting:
            return "its search index is still being built"
        return f"{waiting} of {len(view.documents)} documents are still being read in"
    if status == SessionStatus.FAILED:
        return f"none of its documents could be read: {_first_failure(view.documents)}"
    return "it is being deleted"


def _first_failure(documents: Sequence[Document]) -> str:
    failures = [document.failure for document in documents if document.failure]
    return failures[0].message if failures else "it has none"
