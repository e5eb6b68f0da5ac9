"""A session's documents from the blob store: each read in once, whatever happens in between."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from rlm_rs.core.corpus import Document, Failure, IngestStatus, Parsed
from rlm_rs.core.errors import BlobNotFound, ValidationFailed
from rlm_rs.core.records import DocumentRecord, SessionRecord, SessionStatus
from rlm_rs.orchestrator.ingestion import failed, read
from rlm_rs.orchestrator.ports import Service


async def read_in(session: SessionRecord, service: Service) -> list[Document]:
    """Parse the documents that are neither read in nor given up; returns all of them.

    Stops early, with what there is, when the session is to go. Raises `ParserFailed`.
    """
    rows = await service.ports.catalog.list_documents(session.tenant_id, session.session_id)
    slots = asyncio.Semaphore(service.parsing)
    stop = service.signals.watch(session.session_id)

    async def one(document: Document) -> Document:
        async with slots:
            if document.readable or document.failure or stop.is_set():
                return document
            return await _read_one(document, session, service)

    tasks = [asyncio.ensure_future(one(row.document)) for row in rows]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        service.signals.unwatch(session.session_id, stop)


async def _read_one(document: Document, session: SessionRecord, service: Service) -> Document:
    if not await _still_wanted(session, service):
        return document
    await _write(replace(document, ingest_status=IngestStatus.PARSING), session, service)
    base = f"s3://{service.ports.bucket}/parsed/{session.tenant_id}/{session.session_id}/"
    place = f"{base}{document.doc_id}"
    outcome = await _parsed(document, f"{place}/", service)
    document = failed(document, outcome) if isinstance(outcome, Failure) else read(document, outcome, place)
    if await _still_wanted(session, service):
        await _write(document, session, service)
    return document


async def _parsed(document: Document, prefix: str, service: Service) -> Parsed | Failure:
    try:
        return await service.parser.parse_stored(
            document.raw_s3_uri or "",
            document.source_name,
            document.mime_type,
            prefix,
            document.raw_s3_version_id,
            document.raw_s3_etag,
        )
    except BlobNotFound as error:
        return Failure("SOURCE_NOT_FOUND", f"{error.message} Upload it again.")
    except ValidationFailed as error:
        return Failure("SOURCE_NOT_FOUND", error.message)


async def _write(document: Document, session: SessionRecord, service: Service) -> None:
    row = DocumentRecord(session.tenant_id, session.session_id, document)
    await service.ports.catalog.put_documents([row])


async def _still_wanted(session: SessionRecord, service: Service) -> bool:
    """A row written for a session that is gone would outlive it."""
    current = await service.ports.catalog.get_session(session.tenant_id, session.session_id)
    return current is not None and current.status == SessionStatus.CREATING
