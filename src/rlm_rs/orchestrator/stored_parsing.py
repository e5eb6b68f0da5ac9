"""Parsing what lies in the blob store with a parser that reads files."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from rlm_rs.core.corpus import Failure, Parsed
from rlm_rs.core.ports import Blobs, Parser


@dataclass(frozen=True, slots=True)
class LocalStoredParser:
    """`core.ports.StoredParser`, by way of files in `spool`, which should lie beside the blobs."""

    parser: Parser
    blobs: Blobs
    spool: Path

    async def parse_stored(
        self, uri: str, source_name: str, mime_type: str | None, output_prefix: str
    ) -> Parsed | Failure:
        """Parse an object; the canonical text and what goes with it are stored below `output_prefix`."""
        work = self.spool / f"parse_{uuid4().hex}"
        output = work / "output"
        await asyncio.to_thread(output.mkdir, parents=True)
        try:
            outcome = await self.parser.parse(await self._file(uri, work), source_name, mime_type, output)
            if isinstance(outcome, Parsed):
                # whatever an interrupted attempt left there
                await self.blobs.delete_prefix(output_prefix)
                await self.blobs.put_folder(output_prefix, output)
            return outcome
        finally:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)

    async def _file(self, uri: str, work: Path) -> Path:
        local = self.blobs.local_path(uri)
        if local is not None:
            return local
        path = work / "input"
        with path.open("xb") as file:
            async for chunk in self.blobs.stream(uri):
                await asyncio.to_thread(file.write, chunk)
        return path
