"""Corpus images in the blob store, for runners that are not on this machine.

`images/{tenant}/{session}/{fingerprint}/` holds `tables.bin`, the four tables of `runners.image` one after
the other, the packs of small texts `texts-N.bin`, and, written last, `image.json`: the tables' lengths, and
URI and length of every file. A big text is not copied: it is read where its document says.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import orjson

from rlm_rs.core.corpus import Corpus, Document
from rlm_rs.core.errors import BlobNotFound
from rlm_rs.core.ports import Blobs
from rlm_rs.runners.image import IMAGES_REMEMBERED, TABLES, ImageBuild, fingerprint, folder_name
from rlm_rs.runners.image_space import MANIFEST

TABLES_FILE = "tables.bin"


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image's identity, the lengths of its four tables, and URI and length of its files, tables first."""

    key: str
    tables: tuple[int, ...]
    files: tuple[tuple[str, int], ...]


class _StoredBuild(ImageBuild):
    """An image whose big texts stay where they are."""

    async def own_segment(self, document: Document) -> str:
        return document.text_s3_uri or ""


class StoredImages:
    """Builds corpus images from blobs and keeps them beside these. `spool`: a folder for drafts."""

    def __init__(self, blobs: Blobs, bucket: str, spool: Path) -> None:
        self._blobs = blobs
        self._bucket = bucket
        self._spool = spool
        self._known: OrderedDict[str, asyncio.Task[StoredImage]] = OrderedDict()

    async def ensure(self, corpus: Corpus) -> StoredImage:
        """The image of these documents, built if it is not there yet.

        Raises `BlobNotFound` or `ChecksumMismatch` when a text is not there as its document says.
        """
        prefix = f"{self._session_prefix(corpus.tenant_id, corpus.session_id)}{fingerprint(corpus)}/"
        task = self._known.get(prefix)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._known[prefix] = asyncio.create_task(self._find_or_build(corpus, prefix))
        self._known.move_to_end(prefix)
        while len(self._known) > IMAGES_REMEMBERED:
            self._known.popitem(last=False)
        return await asyncio.shield(task)

    async def remove(self, tenant_id: str, session_id: str) -> None:
        """Remove all images of a session. Removing nothing is not an error."""
        session = self._session_prefix(tenant_id, session_id)
        for prefix in [prefix for prefix in self._known if prefix.startswith(session)]:
            del self._known[prefix]
        await self._blobs.delete_prefix(session)

    def _session_prefix(self, tenant_id: str, session_id: str) -> str:
        return f"s3://{self._bucket}/images/{folder_name(tenant_id)}/{folder_name(session_id)}/"

    async def _find_or_build(self, corpus: Corpus, prefix: str) -> StoredImage:
        try:
            return _loaded(prefix, await self._blobs.get(prefix + MANIFEST))
        except BlobNotFound:
            pass
        await asyncio.to_thread(self._spool.mkdir, parents=True, exist_ok=True)
        draft = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="image-", dir=self._spool))
        try:
            segments = await _StoredBuild(self._blobs, draft, draft, corpus).write_files()
            return await self._publish(draft, prefix, segments, corpus)
        finally:
            await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)

    async def _publish(self, draft: Path, prefix: str, segments: list[str], corpus: Corpus) -> StoredImage:
        lengths = await asyncio.to_thread(_join_tables, draft)
        texts = {document.text_s3_uri: document.byte_length for document in corpus.documents}
        files = [(prefix + TABLES_FILE, sum(lengths))]
        for name in segments:
            files.append((name, texts[name]) if name in texts else (prefix + name, _size(draft / name)))
        for uri, _ in files:
            if uri.startswith(prefix):
                await self._blobs.put_file(uri, draft / uri.removeprefix(prefix))
        manifest = orjson.dumps({"tables": lengths, "files": files})
        await self._blobs.put(prefix + MANIFEST, manifest)
        return _loaded(prefix, manifest)


def _size(path: Path) -> int:
    return path.stat().st_size


def _join_tables(draft: Path) -> list[int]:
    lengths = []
    with (draft / TABLES_FILE).open("wb") as joined:
        for name in TABLES:
            with (draft / name).open("rb") as table:
                shutil.copyfileobj(table, joined)
            lengths.append(_size(draft / name))
    return lengths


def _loaded(prefix: str, manifest: bytes) -> StoredImage:
    value = orjson.loads(manifest)
    files = tuple((str(uri), int(size)) for uri, size in value["files"])
    return StoredImage(sha256(prefix.encode()).hexdigest(), tuple(value["tables"]), files)
