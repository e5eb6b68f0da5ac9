"""Ranges of stored texts, read by the orchestrator to hash and show citations; never a whole document."""

from __future__ import annotations

import asyncio
import codecs
import hashlib
import struct
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from rlm_rs.core.corpus import Document
from rlm_rs.core.errors import BlobNotFound
from rlm_rs.core.ports import Blobs

CHECKPOINT_CHARS = 4096
CACHED_META = 64
REMEMBERED_INTACT = 1024
PIECE_CHARS = 1_000_000


class DocumentTexts:
    """Reads canonical text by code points through a document's checkpoint table."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._meta: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._intact: OrderedDict[str, tuple[str | None, tuple[int, int]]] = OrderedDict()

    async def read(self, document: Document, start_char: int, end_char: int) -> str:
        """Characters `[start_char, end_char)`, clipped to the text as Python slices are."""
        start, end = max(0, start_char), min(end_char, document.char_length)
        if start >= end or document.text_s3_uri is None:
            return ""
        if document.offsets_index_uri is None:
            data = await self._blobs.get(document.text_s3_uri, start, end - start)
            return data.decode("utf-8", "replace")
        first = start // CHECKPOINT_CHARS
        low = await self._checkpoint(document, first)
        high = await self._checkpoint(document, end // CHECKPOINT_CHARS + 1)
        text = (await self._blobs.get(document.text_s3_uri, low, high - low)).decode("utf-8", "replace")
        offset = first * CHECKPOINT_CHARS
        return text[start - offset : end - offset]

    async def page_of(self, document: Document, char: int) -> int | None:
        """The page, from 1, that holds a character; None where the document has no pages."""
        if not document.page_count or document.meta_s3_uri is None:
            return None
        pages = (await self._meta_of(document.meta_s3_uri)).get("pages", ())
        for page in pages:
            if page["start_char"] <= char < page["end_char"]:
                return int(page["page_num"])
        return None

    async def meta(self, document: Document) -> dict[str, Any]:
        """How the text is divided (`meta.json`): structure, pages, tables; empty where nothing is kept."""
        return await self._meta_of(document.meta_s3_uri) if document.meta_s3_uri else {}

    async def unchanged(self, document: Document) -> bool:
        """Whether the stored text is there and has the checksum it was stored with.

        What was found so stays so while its length, and the time of a local file, are the same.
        """
        uri = document.text_s3_uri
        if uri is None:
            return False
        try:
            state = await self._state(uri)
            if document.byte_length and state[0] != document.byte_length:
                return False
            if self._intact.get(uri) == (document.text_checksum, state):
                return True
            digest = hashlib.sha256()
            async for chunk in self._blobs.stream(uri):
                digest.update(chunk)
        except BlobNotFound:
            return False
        if document.text_checksum != f"sha256:{digest.hexdigest()}":
            return False
        self._intact[uri] = (document.text_checksum, state)
        if len(self._intact) > REMEMBERED_INTACT:
            self._intact.popitem(last=False)
        return True

    async def all_unchanged(self, documents: Sequence[Document]) -> bool:
        """`unchanged` for all readable documents; texts that are local files are hashed in one thread."""
        readable = [document for document in documents if document.readable]
        paths = [self._blobs.local_path(document.text_s3_uri or "") for document in readable]
        local = [(d.text_checksum, path) for d, path in zip(readable, paths, strict=True) if path]
        if not await asyncio.to_thread(lambda: all(_has_checksum(*pair) for pair in local)):
            return False
        elsewhere = [d for d, path in zip(readable, paths, strict=True) if path is None]
        return all([await self.unchanged(document) for document in elsewhere])

    async def pieces(self, document: Document, start_char: int, end_char: int) -> AsyncIterator[str]:
        """The same range as `read` gives, in flat memory."""
        for at in range(start_char, end_char, PIECE_CHARS):
            yield await self.read(document, at, min(at + PIECE_CHARS, end_char))

    async def changed_pieces(self, document: Document, start_char: int, end_char: int) -> AsyncIterator[str]:
        """The same range of a text whose bytes may have moved: counted from its start, in flat memory."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        seen = 0
        async for chunk in self._blobs.stream(document.text_s3_uri or ""):
            text = decoder.decode(chunk)
            yield text[max(0, start_char - seen) : max(0, end_char - seen)]
            seen += len(text)
            if seen >= end_char:
                break

    async def _checkpoint(self, document: Document, number: int) -> int:
        data = await self._blobs.get(document.offsets_index_uri or "", number * 8, 8)
        return int(struct.unpack("<Q", data)[0]) if len(data) == 8 else document.byte_length

    async def _state(self, uri: str) -> tuple[int, int]:
        """The length of an object in bytes, and when it was written where that can be told."""
        path = self._blobs.local_path(uri)
        if path is None:
            return await self._blobs.size(uri), 0
        try:
            found = path.stat()
        except OSError as error:
            raise BlobNotFound(uri=uri) from error
        return found.st_size, found.st_mtime_ns

    async def _meta_of(self, uri: str) -> dict[str, Any]:
        if uri not in self._meta:
            self._meta[uri] = orjson.loads(await self._blobs.get(uri))
            if len(self._meta) > CACHED_META:
                self._meta.popitem(last=False)
        return self._meta[uri]


def _has_checksum(expected: str | None, path: Path) -> bool:
    with path.open("rb") as file:
        return expected == f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
