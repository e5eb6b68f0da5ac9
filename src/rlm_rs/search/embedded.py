"""The embedded engine: tantivy, its segments kept as immutable objects beside the session's documents.

    parsed/{tenant}/{session}/search/{identity}/{part}-{random}/…   segment files
    parsed/{tenant}/{session}/search/{identity}/{part}.json         a part is whole
    parsed/{tenant}/{session}/search/{identity}/index.json          the index is whole

Whoever knows the documents knows the identity and so finds the index, on whatever machine. Building goes part
by part, about PART_BYTES of text each; after a crash the parts that are whole are not built again. Two who
build the same at once do no harm: of each part the first one counts.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import orjson

from rlm_rs.core.corpus import Corpus, Document
from rlm_rs.core.errors import BlobNotFound, SearchFailed
from rlm_rs.core.passages import CUTTING_VERSION
from rlm_rs.core.ports import Blobs
from rlm_rs.core.searching import SearchHit
from rlm_rs.core.words import RULES_VERSION
from rlm_rs.sandbox.protocol import View
from rlm_rs.search.documents import groups, parts, readable
from rlm_rs.search.local import MANIFEST, LocalIndexes, LocalLimits, parts_of
from rlm_rs.search.segments import ENGINE, PartWriter

PART_BYTES = 32 << 20
FORMAT_VERSION = "1"


class EmbeddedIndex:
    """`core.ports.SearchIndex` on tantivy. directory: where indexes in use are kept at hand."""

    name = "embedded"

    def __init__(
        self,
        blobs: Blobs,
        bucket: str,
        directory: Path,
        limits: LocalLimits | None = None,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._blobs = blobs
        self._bucket = bucket
        self._spool = directory / "spool"
        self._part_bytes = part_bytes
        self._local = LocalIndexes(blobs, directory / "open", limits)
        self._building: dict[str, asyncio.Lock] = {}

    def identity(self, corpus: Corpus) -> str:
        versions = f"{ENGINE}\0{FORMAT_VERSION}\0{CUTTING_VERSION}\0{RULES_VERSION}\0{self._part_bytes}"
        return hashlib.sha256(f"{versions}\0{corpus.content_digest}".encode()).hexdigest()[:32]

    async def is_built(self, corpus: Corpus) -> bool:
        try:
            await self._blobs.size(self._prefix(corpus) + MANIFEST)
        except BlobNotFound:
            return False
        return True

    async def build(self, corpus: Corpus) -> None:
        prefix = self._prefix(corpus)
        async with self._building.setdefault(prefix, asyncio.Lock()):
            if not await self.is_built(corpus):
                await self._build(corpus, prefix)
        self._building.pop(prefix, None)

    async def query(
        self, corpus: Corpus, query: str, k: int, views: Sequence[View] | None = None
    ) -> Sequence[SearchHit]:
        if not readable(corpus):
            return []
        index = await self._local.opened(corpus, self._prefix(corpus), self.identity(corpus))
        try:
            return await asyncio.to_thread(index.query, query, k, views)
        except ValueError as error:
            raise SearchFailed(reason=str(error)) from error

    async def remove(self, tenant_id: str, session_id: str) -> None:
        prefix = self._session_prefix(tenant_id, session_id)
        await self._local.forget(tenant_id, session_id, prefix)
        await self._blobs.delete_prefix(prefix)

    async def close(self) -> None:
        self._local.close()

    def _session_prefix(self, tenant_id: str, session_id: str) -> str:
        return f"s3://{self._bucket}/parsed/{tenant_id}/{session_id}/search/"

    def _prefix(self, corpus: Corpus) -> str:
        return f"{self._session_prefix(corpus.tenant_id, corpus.session_id)}{self.identity(corpus)}/"

    async def _build(self, corpus: Corpus, prefix: str) -> None:
        manifests = []
        try:
            for number, documents in enumerate(parts(readable(corpus), self._part_bytes)):
                manifests.append(await self._part(f"{prefix}{number:04d}", documents))
        except BlobNotFound as error:
            raise SearchFailed(reason=f"a text is missing ({error.message})") from error
        await self._blobs.put(prefix + MANIFEST, parts_of(manifests))

    async def _part(self, place: str, documents: Sequence[Document]) -> bytes:
        """The manifest of a part, which is built unless it is there."""
        try:
            return await self._blobs.get(f"{place}.json")
        except BlobNotFound:
            return await self._build_part(place, documents)

    async def _build_part(self, place: str, documents: Sequence[Document]) -> bytes:
        work, name = self._spool / uuid4().hex, uuid4().hex[:8]
        folder = work / "segments"
        await asyncio.to_thread(folder.mkdir, parents=True)
        try:
            manifest = await self._written(folder, work, documents, f"{place.rsplit('/', 1)[1]}-{name}")
            await self._blobs.put_folder(f"{place}-{name}/", folder)
            await self._blobs.put(f"{place}.json", manifest)
        finally:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
        kept = await self._blobs.get(f"{place}.json")
        if kept != manifest:
            await self._blobs.delete_prefix(f"{place}-{name}/")
        return kept

    async def _written(self, folder: Path, work: Path, documents: Sequence[Document], name: str) -> bytes:
        try:
            writer = await asyncio.to_thread(PartWriter, folder)
            async for group in groups(self._blobs, documents, work):
                await asyncio.to_thread(writer.add, group)
            meta = await asyncio.to_thread(writer.finish)
        except ValueError as error:
            raise SearchFailed(reason=f"the index cannot be written ({error})") from error
        files = await asyncio.to_thread(lambda: sorted(path.name for path in folder.iterdir()))
        return orjson.dumps({"folder": name, "files": files, "meta": meta, "passages": writer.passages})
