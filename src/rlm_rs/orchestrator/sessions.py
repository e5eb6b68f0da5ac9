"""Sessions: a corpus made once from sources and found again by its content."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from rlm_rs.core.corpus import Corpus, Document, Source
from rlm_rs.core.errors import SessionNotFound, SessionNotReady
from rlm_rs.core.ports import Catalog
from rlm_rs.core.records import DocumentRecord, SessionRecord, SessionStatus
from rlm_rs.orchestrator.ingestion import Ingestion, Progress
from rlm_rs.orchestrator.texts import DocumentTexts

PASSING = frozenset({"PARSE_TIMEOUT", "PARSE_MEMORY", "PARSE_CRASHED"})
"""Codes of failures that a loaded machine brings about: another time the document may be read."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a corpus is found by. digests: of each source's bytes as they were read for it, in hex."""

    whole: str
    digests: tuple[str, ...]

    def is_of(self, documents: Sequence[Document]) -> bool:
        """Whether the documents were made from those bytes: a file may have changed before it was parsed."""
        pairs = zip(documents, self.digests, strict=True)
        return all(not d.readable or d.raw_checksum == f"sha256:{digest}" for d, digest in pairs)


async def corpus_of(tenant_id: str, session_id: str, catalog: Catalog) -> Corpus:
    """The documents of a session. Raises `SessionNotFound`."""
    if await catalog.get_session(tenant_id, session_id) is None:
        raise SessionNotFound(session_id=session_id)
    rows = await catalog.list_documents(tenant_id, session_id)
    return Corpus(tenant_id, session_id, tuple(row.document for row in rows))


async def corpus_left(tenant_id: str, session_id: str, catalog: Catalog) -> Corpus:
    """The documents of a session, none if the session is gone."""
    try:
        return await corpus_of(tenant_id, session_id, catalog)
    except SessionNotFound:
        return Corpus(tenant_id, session_id, ())


async def find_corpus(
    tenant_id: str, fingerprint: str, catalog: Catalog, texts: DocumentTexts
) -> Corpus | None:
    """An earlier session over the same content, unless one of its stored texts was changed or lost.

    Nor one where a document failed for want of time or memory: that may have been the machine's doing.
    """
    session = await catalog.find_session(tenant_id, fingerprint)
    if session is None or session.status != SessionStatus.READY or _expired(session):
        return None
    corpus = await corpus_of(tenant_id, session.session_id, catalog)
    if any(document.failure and document.failure.code in PASSING for document in corpus.documents):
        return None
    return corpus if await texts.all_unchanged(corpus.documents) else None


async def create_corpus(
    ingestion: Ingestion,
    sources: Sequence[Source],
    catalog: Catalog,
    fingerprint: Fingerprint | None = None,
    progress: Progress | None = None,
) -> Corpus:
    """Parse sources into a new session. Raises `SessionNotReady` if not one of them can be read."""
    try:
        documents = await ingestion.ingest(sources, progress)
    except BaseException:
        # interrupted: leave nothing half-written
        await ingestion.blobs.delete_prefix(ingestion.prefix)
        raise
    readable = any(document.readable for document in documents)
    session = SessionRecord(
        tenant_id=ingestion.tenant_id,
        session_id=ingestion.session_id,
        status=SessionStatus.READY if readable else SessionStatus.FAILED,
        created_at=time.time(),
        fingerprint=fingerprint.whole if readable and fingerprint and fingerprint.is_of(documents) else None,
    )
    rows = [DocumentRecord(ingestion.tenant_id, ingestion.session_id, document) for document in documents]
    await catalog.put_session(session, rows)
    if not readable:
        raise SessionNotReady(_why_unreadable(documents), session_id=ingestion.session_id)
    return Corpus(ingestion.tenant_id, ingestion.session_id, tuple(documents))


def new_session_id() -> str:
    """A fresh session id."""
    return f"sess_{uuid4().hex}"


async def fingerprint_of(sources: Sequence[Source], parser_version: str) -> Fingerprint:
    """SHA-256 over the names and contents of all sources and the parser's version."""
    digests = await asyncio.to_thread(lambda: [_source_digest(source) for source in sources])
    whole = hashlib.sha256(parser_version.encode())
    for source, digest in zip(sources, digests, strict=True):
        whole.update(f"{source.source_name}\0{digest}\0".encode("utf-8", "surrogateescape"))
    return Fingerprint(whole.hexdigest(), tuple(digests))


def _source_digest(source: Source) -> str:
    if source.failure:
        return source.failure.code
    try:
        with source.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return type(error).__name__


def _expired(session: SessionRecord) -> bool:
    return session.expires_at is not None and session.expires_at <= time.time()


def _why_unreadable(documents: Sequence[Document]) -> str:
    first = next((d for d in documents if d.failure), None)
    if first is None or first.failure is None:
        return "There are no documents to read."
    more = f" ({len(documents) - 1} more failed too)" if len(documents) > 1 else ""
    return f"{first.source_name}: {first.failure.message}{more}"
