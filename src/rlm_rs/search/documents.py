"""A session's documents as an index reads them: a bounded amount of text at a time, cut into passages."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from rlm_rs.core.corpus import Corpus, Document
from rlm_rs.core.errors import BlobNotFound
from rlm_rs.core.passages import passages
from rlm_rs.core.ports import Blobs

GROUP_BYTES = 4 << 20
GROUP_DOCUMENTS = 256
IN_MEMORY_BYTES = 16 << 20
"""A text that is no file here and larger than this is written to one first."""
PIECE_BYTES = 1 << 20
FETCHED_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Readable:
    """A document whose text is at hand: its bytes, or a file."""

    document: Document
    text: bytes | Path
    meta: bytes | Path

    def passages(self) -> Iterator[tuple[int, str]]:
        """Where each passage begins and its text."""
        return passages(self._pieces(), self._section_starts())

    def _pieces(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for data in self._data():
            yield decoder.decode(data)
        yield decoder.decode(b"", final=True)

    def _data(self) -> Iterator[bytes]:
        if isinstance(self.text, bytes):
            yield self.text
            return
        with self.text.open("rb") as file:
            while data := file.read(PIECE_BYTES):
                yield data

    def _section_starts(self) -> list[int]:
        meta = self.meta if isinstance(self.meta, bytes) else self.meta.read_bytes()
        structure = (orjson.loads(meta) if meta else {}).get("structure") or {}
        return sorted(set(_starts(structure.get("sections") or structure.get("children") or ())))


def _starts(sections: Iterable[dict[str, Any]]) -> Iterator[int]:
    for section in sections:
        yield int(section["start_char"])
        yield from _starts(section.get("children") or ())


def readable(corpus: Corpus) -> list[Document]:
    """The documents that there is a text of."""
    return [document for document in corpus.documents if document.readable and document.text_s3_uri]


def parts(documents: Sequence[Document], part_bytes: int) -> Iterator[list[Document]]:
    """The documents in runs of about so many bytes of text; a larger one stands alone."""
    run: list[Document] = []
    size = 0
    for document in documents:
        if run and size + document.byte_length > part_bytes:
            yield run
            run, size = [], 0
        run.append(document)
        size += document.byte_length
    if run:
        yield run


async def groups(
    blobs: Blobs, documents: Sequence[Document], spool: Path, in_memory_bytes: int = IN_MEMORY_BYTES
) -> AsyncIterator[list[Readable]]:
    """The documents' texts, as many at a time as fit in memory. Raises `BlobNotFound`.

    spool: a folder for texts that lie elsewhere and are too large for memory; what is put there is gone when
    the next group comes.
    """
    for run in parts(documents, GROUP_BYTES):
        for at in range(0, len(run), GROUP_DOCUMENTS):
            group = await _fetched_all(blobs, run[at : at + GROUP_DOCUMENTS], spool, in_memory_bytes)
            try:
                yield group
            finally:
                _discard(group, spool)


async def _fetched_all(
    blobs: Blobs, documents: Sequence[Document], spool: Path, in_memory_bytes: int
) -> list[Readable]:
    slots = asyncio.Semaphore(FETCHED_AT_ONCE)

    async def one(document: Document) -> Readable:
        text, meta = document.text_s3_uri or "", document.meta_s3_uri or ""
        async with slots:
            here: bytes | Path | None = blobs.local_path(text)
            if here is None:
                large = document.byte_length > in_memory_bytes
                here = await _written(blobs, text, spool) if large else await blobs.get(text)
            return Readable(document, here, await _meta(blobs, meta))

    return list(await asyncio.gather(*map(one, documents)))


async def _written(blobs: Blobs, uri: str, spool: Path) -> Path:
    path = spool / f"text_{uuid4().hex}"
    with path.open("xb") as file:
        async for chunk in blobs.stream(uri):
            await asyncio.to_thread(file.write, chunk)
    return path


async def _meta(blobs: Blobs, uri: str) -> bytes | Path:
    """The structure; a document can be searched without it."""
    if not uri:
        return b""
    try:
        return blobs.local_path(uri) or await blobs.get(uri)
    except BlobNotFound:
        return b""


def _discard(group: Sequence[Readable], spool: Path) -> None:
    for item in group:
        if isinstance(item.text, Path) and item.text.parent == spool:
            item.text.unlink(missing_ok=True)
