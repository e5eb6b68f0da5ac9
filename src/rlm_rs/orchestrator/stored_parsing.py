"""Parsing what lies in the blob store with a parser that reads files."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from rlm_rs.core.corpus import Failure, Parsed
from rlm_rs.core.errors import BlobChanged
from rlm_rs.core.ports import Blobs, Parser

CHANGED = "SOURCE_CHANGED"
"""The code of a document whose object is not the one that was named."""


@dataclass(frozen=True, slots=True)
class LocalStoredParser:
    """`core.ports.StoredParser`, by way of files in `spool`, which should lie beside the blobs."""

    parser: Parser
    blobs: Blobs
    spool: Path

    async def parse_stored(
        self,
        uri: str,
        source_name: str,
        mime_type: str | None,
        output_prefix: str,
        version_id: str | None = None,
        etag: str | None = None,
    ) -> Parsed | Failure:
        """Parse an object; the canonical text and what goes with it are stored below `output_prefix`."""
        work = self.spool / f"parse_{uuid4().hex}"
        output = work / "output"
        await asyncio.to_thread(output.mkdir, parents=True)
        try:
            source = await self._file(uri, work, version_id, etag)
            outcome = await self.parser.parse(source, source_name, mime_type, output)
            if isinstance(outcome, Parsed):
                # whatever an interrupted attempt left there
                await self.blobs.delete_prefix(output_prefix)
                await self.blobs.put_folder(output_prefix, output)
            return outcome
        except BlobChanged as error:
            return Failure(CHANGED, f"{error.message} Name it as it is now, or upload it again.")
        finally:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)

    async def _file(self, uri: str, work: Path, version_id: str | None, etag: str | None) -> Path:
        local = self.blobs.local_path(uri)
        if local is not None and version_id is None and etag is None:
            return local
        path = work / "input"
        with path.open("xb") as file:
            async for chunk in self.blobs.stream(uri, version_id=version_id, etag=etag):
                await asyncio.to_thread(file.write, chunk)
        return path
