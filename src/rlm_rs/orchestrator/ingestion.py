"""Sources to documents: each parsed on its own, stored, and described; one that fails, fails alone."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from rlm_rs.core.corpus import Document, Failure, IngestStatus, Parsed, Source
from rlm_rs.core.ports import Blobs, Parser

Progress = Callable[[int, int, Document], None]

UNKNOWN_MIME = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Ingestion:
    """Where documents go and how they get there. workers: documents parsed at the same time."""

    parser: Parser
    blobs: Blobs
    bucket: str
    tenant_id: str
    session_id: str
    spool: Path
    workers: int = 2

    @property
    def prefix(self) -> str:
        """Where all objects of the session's documents lie."""
        return f"s3://{self.bucket}/parsed/{self.tenant_id}/{self.session_id}/"

    async def ingest(self, sources: Sequence[Source], progress: Progress | None = None) -> list[Document]:
        """Parse and store all sources, in order. `progress(done, total, document)` follows along."""
        slots = asyncio.Semaphore(self.workers * 2)
        done = 0

        async def one(index: int, source: Source) -> Document:
            nonlocal done
            async with slots:
                document = await self._ingest_one(index, source)
            done += 1
            if progress:
                progress(done, len(sources), document)
            return document

        tasks = [asyncio.ensure_future(one(i, source)) for i, source in enumerate(sources)]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            # after a failure nothing may go on writing behind the caller's back
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ingest_one(self, index: int, source: Source) -> Document:
        document = Document(
            doc_id=f"doc_{uuid4().hex}",
            doc_index=index,
            source_name=source.source_name,
            mime_type=source.mime_type or UNKNOWN_MIME,
        )
        if source.failure:
            return failed(document, source.failure)
        output = self.spool / document.doc_id
        output.mkdir(parents=True)
        try:
            outcome = await self.parser.parse(source.path, source.source_name, source.mime_type, output)
            if isinstance(outcome, Failure):
                return failed(document, outcome)
            return await self._stored(document, outcome, output)
        finally:
            if output.exists():
                shutil.rmtree(output)

    async def _stored(self, document: Document, parsed: Parsed, output: Path) -> Document:
        place = f"{self.prefix}{document.doc_id}"
        await self.blobs.put_folder(f"{place}/", output)
        return read(document, parsed, place)


def read(document: Document, parsed: Parsed, place: str) -> Document:
    """The document once it was parsed and what the parser wrote stands below `place`."""
    return replace(
        document,
        mime_type=parsed.mime_type,
        ingest_status=IngestStatus.PARSED,
        raw_checksum=parsed.raw_checksum,
        text_s3_uri=f"{place}/text.txt",
        meta_s3_uri=f"{place}/meta.json",
        offsets_s3_uri=f"{place}/offsets.json",
        offsets_index_uri=f"{place}/offsets.u64" if parsed.has_index else None,
        char_length=parsed.char_length,
        byte_length=parsed.byte_length,
        page_count=parsed.page_count,
        parser_version=parsed.parser_version,
        text_checksum=parsed.text_checksum,
        warnings=parsed.warnings,
    )


def failed(document: Document, failure: Failure) -> Document:
    """The document once it is known that it cannot be read."""
    return replace(document, ingest_status=IngestStatus.FAILED, failure=failure)
