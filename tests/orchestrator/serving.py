"""A whole service in memory: stages, work, sessions and a scripted model, for two tenants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stage import BUCKET, InProcessSandbox

from rlm_rs.core.corpus import Failure, Parsed
from rlm_rs.core.execution import Models
from rlm_rs.core.ports import ModelProvider
from rlm_rs.orchestrator.completions import Completions
from rlm_rs.orchestrator.event_log import EventLog
from rlm_rs.orchestrator.lifecycle import (
    NewDocument,
    NewSession,
    SessionView,
    create_session,
    ingest_session,
    session_view,
    store_upload,
)
from rlm_rs.orchestrator.output_schema import JsonSchemas
from rlm_rs.orchestrator.ports import Ports, Service
from rlm_rs.orchestrator.stored_parsing import LocalStoredParser
from rlm_rs.orchestrator.texts import DocumentTexts
from rlm_rs.parser.parse import parse_file
from rlm_rs.storage.blobs import MemoryBlobs
from rlm_rs.storage.memory import MemoryCatalog, MemoryJournal
from rlm_rs.storage.memory_evaluations import MemoryEvaluations
from rlm_rs.storage.memory_work import MemoryWork
from rlm_rs.testing.models import ScriptedModel

MINE, THEIRS = "tenant-a", "tenant-b"


class InProcessParser:
    """Parses here, in this process, and counts what it parsed."""

    version = "in-process"

    def __init__(self) -> None:
        self.parsed: list[str] = []

    async def parse(
        self, source_path: Path, source_name: str, mime_type: str | None, output_dir: Path
    ) -> Parsed | Failure:
        self.parsed.append(source_name)
        return parse_file(source_path, source_name, mime_type, output_dir)

    async def close(self) -> None:
        """Nothing to end."""


@dataclass
class Serving:
    """A service, and how to look behind it."""

    service: Service
    parser: InProcessParser
    blobs: MemoryBlobs
    journal: MemoryJournal

    async def upload(self, text: str | bytes, name: str = "contract.txt", tenant: str = MINE) -> str:
        data = text.encode() if isinstance(text, str) else text
        return (await store_upload(tenant, name, one_chunk(data), self.service)).raw_s3_uri

    async def session(self, *texts: str | bytes, tenant: str = MINE, **options: Any) -> SessionView:
        """A session that a worker has read in."""
        docs = [
            NewDocument(f"doc-{n}.txt", await self.upload(text, tenant=tenant), "text/plain")
            for n, text in enumerate(texts)
        ]
        view = await create_session(tenant, NewSession(tuple(docs), **options), self.service)
        await ingest_session(tenant, view.session.session_id, self.service)
        return await session_view(tenant, view.session.session_id, self.service)

    async def stored(self, *kinds: str) -> list[str]:
        """URIs of everything stored, or of some kinds."""
        found = await self.blobs.list(f"s3://{BUCKET}/")
        return [uri for uri in found if not kinds or uri.split("/")[3] in kinds]


async def one_chunk(data: bytes) -> AsyncIterator[bytes]:
    yield data


def serving(directory: Path, model: ModelProvider | None = None) -> Serving:
    """A service over this model."""
    model = model or ScriptedModel([])
    blobs, journal, parser = MemoryBlobs(), MemoryJournal(), InProcessParser()
    ports = Ports(
        log=EventLog(journal, blobs, BUCKET),
        blobs=blobs,
        catalog=MemoryCatalog(),
        provider=model,
        sandbox=InProcessSandbox(blobs, directory / "images"),
        completions=Completions(model, blobs, {}, BUCKET),
        texts=DocumentTexts(blobs),
        bucket=BUCKET,
        schemas=JsonSchemas(),
    )
    spool = directory / "spool"
    service = Service(
        ports=ports,
        work=MemoryWork(),
        parser=LocalStoredParser(parser, blobs, spool),
        spool=spool,
        evaluations=MemoryEvaluations(),
        models=lambda root, sub: Models(root or "scripted-root", sub or "scripted-sub"),
        import_prefixes=("s3://shared/open/",),
    )
    return Serving(service, parser, blobs, journal)
