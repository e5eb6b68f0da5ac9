"""Corpora in memory, and a runner that is closed whatever happens."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import accumulate
from pathlib import Path

import pytest

from rlm_rs.core.corpus import Corpus, Document, IngestStatus
from rlm_rs.core.ports import Blobs
from rlm_rs.runners.image import CorpusImages
from rlm_rs.runners.process import ProcessConfig, ProcessRunner
from rlm_rs.storage.blobs import MemoryBlobs

CHECKPOINT = 4096

MakeCorpus = Callable[..., Awaitable[Corpus]]


def checkpoints(text: str) -> bytes:
    """Byte offset of every 4,096th character."""
    pieces = [len(text[at : at + CHECKPOINT].encode()) for at in range(0, len(text), CHECKPOINT)]
    return struct.pack(f"<{len(pieces)}Q", *accumulate(pieces[:-1], initial=0))


async def stored(blobs: Blobs, number: int, text: str, session: str) -> Document:
    """A parsed document whose text, structure and offsets are in the blob store."""
    data = text.encode()
    base = f"s3://bucket/parsed/{session}/{number}"
    await blobs.put(f"{base}/text.txt", data)
    await blobs.put(f"{base}/meta.json", b'{"pages": []}')
    await blobs.put(f"{base}/offsets.u64", b"" if text.isascii() else checkpoints(text))
    return Document(
        doc_id=f"doc-{number}",
        doc_index=number,
        source_name=f"{number}.txt",
        mime_type="text/plain",
        ingest_status=IngestStatus.PARSED,
        text_s3_uri=f"{base}/text.txt",
        meta_s3_uri=f"{base}/meta.json",
        offsets_index_uri=None if text.isascii() else f"{base}/offsets.u64",
        char_length=len(text),
        byte_length=len(data),
    )


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def make_corpus(blobs: MemoryBlobs) -> MakeCorpus:
    async def make(*texts: str, session: str = "session") -> Corpus:
        documents = [await stored(blobs, number, text, session) for number, text in enumerate(texts)]
        return Corpus("tenant", session, tuple(documents))

    return make


@pytest.fixture
def images(blobs: MemoryBlobs, tmp_path: Path) -> CorpusImages:
    return CorpusImages(blobs, tmp_path / "images")


@pytest.fixture
async def runner(images: CorpusImages) -> AsyncIterator[ProcessRunner]:
    config = ProcessConfig(running=4, spares=2, suspended=3, wall_factor=1.0, wall_grace_seconds=0.7)
    runner = ProcessRunner(images, config)
    yield runner
    await runner.close()
