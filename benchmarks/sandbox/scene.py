"""A runner and a big document, made for a benchmark and removed after it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from rlm_rs.core.corpus import Corpus, Document, IngestStatus
from rlm_rs.runners.image import CorpusImages
from rlm_rs.runners.process import ProcessConfig, ProcessRunner
from rlm_rs.sandbox.protocol import StepLimits, StepRequest, StepResult
from rlm_rs.storage.blobs import DirectoryBlobs

NOTHING = Corpus("benchmark", "nothing", ())
LINE = b"The parties agree that this clause of the agreement says nothing of interest at all.\n"
WIDE = StepLimits(seconds=120.0, memory_mb=64, max_spans=10_000_000)


@asynccontextmanager
async def scene(config: ProcessConfig | None = None) -> AsyncIterator[tuple[ProcessRunner, Path]]:
    """A started runner and the directory its blobs are in."""
    folder = Path(tempfile.mkdtemp(prefix="rlm-benchmark-"))
    runner = ProcessRunner(CorpusImages(DirectoryBlobs(folder / "blobs"), folder / "images"), config)
    try:
        await runner.start()
        yield runner, folder / "blobs"
    finally:
        await runner.close()
        shutil.rmtree(folder, ignore_errors=True)


def text_file(blobs: Path, name: str, size: int, text: bytes = LINE) -> str:
    """A text of exactly `size` bytes, as a blob; returns its URI."""
    path = blobs / "bench" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    block = text * ((1 << 20) // len(text) + 1)
    with path.open("wb") as file:
        while (left := size - file.tell()) > 0:
            file.write(block[:left])
    return f"s3://bench/{name}"


def hole_file(blobs: Path, name: str, size: int) -> str:
    """A text of `size` NUL characters that takes no room on the disk; returns its URI."""
    path = blobs / "bench" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    return f"s3://bench/{name}"


def corpus_of(session: str, texts: Iterable[tuple[str, int]]) -> Corpus:
    """A corpus of ASCII texts, given as URI and length."""
    documents = tuple(
        Document(
            f"d{number}",
            number,
            f"{number}.txt",
            "text/plain",
            IngestStatus.PARSED,
            text_s3_uri=uri,
            char_length=length,
            byte_length=length,
        )
        for number, (uri, length) in enumerate(texts)
    )
    return Corpus("benchmark", session, documents)


def step(code: str, limits: StepLimits = WIDE) -> StepRequest:
    return StepRequest("benchmark", 1, code, limits=limits)


async def finished(runner: ProcessRunner, code: str, corpus: Corpus) -> StepResult:
    """Run a step that has to succeed."""
    result = await runner.run(step(code), corpus)
    if result.error is not None:
        raise RuntimeError(f"{code[:60]}: {result.error.code}: {result.error.message}")
    return result
