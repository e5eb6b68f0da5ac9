"""What a step on AWS Lambda costs beside the network: its start, a call, and reading documents.

    python benchmarks/function/bench.py

The zip is built for the Python that runs this and unpacked; functions run under the real runtime client
against Lambda on loopback, and documents are served over HTTP on loopback. So these are the function's own
times, and none of AWS's.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import boto3

from rlm_rs.core.corpus import Corpus, Document, IngestStatus
from rlm_rs.runners.lambda_calls import LambdaCalls, client_of
from rlm_rs.runners.lambda_runner import LambdaConfig, LambdaRunner, Stored
from rlm_rs.runners.stored_image import StoredImages
from rlm_rs.sandbox.protocol import StepRequest
from rlm_rs.storage.blobs import MemoryBlobs
from rlm_rs.testing.lambda_service import LambdaService
from rlm_rs.testing.object_server import ObjectServer

ROOT = Path(__file__).resolve().parents[2]
STARTS, CALLS = 10, 100
TEXT_BYTES = 200_000_000
NOTHING = Corpus("tenant", "session", ())
IMPORT = "import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
"""In CPU time: an import waits for nothing, and this machine may have other work."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement; `target` as it was set, `held` whether it was met."""

    name: str
    value: float
    unit: str
    target: str = ""
    held: bool = True

    def __str__(self) -> str:
        verdict = f"{'met' if self.held else 'MISSED'} ({self.target})" if self.target else ""
        return f"{self.name:44} {self.value:10,.1f} {self.unit:6} {verdict}"


def unpacked_zip(folder: Path) -> Path:
    """The function's code for this Python and machine."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    script = [sys.executable, str(ROOT / "scripts/make_lambda_zip.py"), "--architecture", "x86_64"]
    subprocess.run(
        [*script, "--python", version, "--out", str(folder)], check=True, stderr=subprocess.DEVNULL
    )
    (built,) = folder.glob("*.zip")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "task")
    return folder / "task"


def import_milliseconds(root: Path, module: str) -> float:
    """Median over fresh processes that see the zip's content and the standard library alone."""
    code = f"import sys; sys.path.insert(0, {str(root)!r}); " + IMPORT.format(module=module)
    ran = [
        subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
        for _ in range(STARTS)
    ]
    return statistics.median(float(each.stdout) for each in ran) * 1000


def imports(root: Path) -> Iterator[Figure]:
    """The modules that the function loads as it starts, and those that its zygote does."""
    for name, module in (("handler", "lambda_handler"), ("step program", "zygote")):
        took = import_milliseconds(root, f"rlm_rs.sandbox.{module}")
        yield Figure(f"import of the {name}", took, "ms", "< 100", took < 100)


async def timed(runner: LambdaRunner, code: str, corpus: Corpus, turn: int = 0) -> float:
    """Milliseconds of one step."""
    began = time.perf_counter()
    result = await runner.run(StepRequest("bench", turn, code), corpus)
    assert result.error is None, result.error
    return (time.perf_counter() - began) * 1000


async def calls(runner: LambdaRunner) -> list[Figure]:
    """The first call of a new environment, and calls of a warm one."""
    cold = await timed(runner, "print(1)", NOTHING)
    warm = [await timed(runner, "print(1)", NOTHING) for _ in range(CALLS)]
    return [
        Figure("step in a new environment", cold, "ms"),
        Figure("step in a warm environment, p50", statistics.median(warm), "ms"),
    ]


async def reads(runner: LambdaRunner, blobs: MemoryBlobs, objects: ObjectServer) -> list[Figure]:
    """A search of a whole text that was not read before, the same again, and a slice of another."""
    corpus = await one_text(blobs)
    cold = await timed(runner, "print(context[0].find('needle'))", corpus)
    most, asked = TEXT_BYTES // 8_000_000 + 2, len(objects.reads)
    warm = await timed(runner, "print(context[0].find('needle'))", corpus, turn=1)
    again = len(objects.reads) - asked
    return [
        Figure("search of 200 MB not read before", cold, "ms"),
        Figure("  ranged reads", asked, "", f"<= {most}", asked <= most),
        Figure("  at one time", objects.at_once, ""),
        Figure("search of 200 MB read before", warm, "ms"),
        Figure("  ranged reads", again, "", "0", again == 0),
    ]


async def one_text(blobs: MemoryBlobs) -> Corpus:
    """A session of one text with what is searched for at its end."""
    uri = "s3://bucket/parsed/tenant/session/doc/text.txt"
    await blobs.put(uri, b"hay " * (TEXT_BYTES // 4 - 3) + b"  the needle")
    held = {"text_s3_uri": uri, "char_length": TEXT_BYTES, "byte_length": TEXT_BYTES}
    document = Document("doc", 0, "text.txt", "text/plain", IngestStatus.PARSED, **held)  # type: ignore[arg-type]
    return Corpus("tenant", "session", (document,))


async def measure(root: Path, folder: Path) -> list[Figure]:
    """Every figure that needs a function."""
    async with AsyncExitStack() as stack:
        blobs = MemoryBlobs()
        service = await stack.enter_async_context(LambdaService(root))
        objects = await stack.enter_async_context(ObjectServer(blobs))
        session = boto3.session.Session("test", "test", region_name="eu-central-1")
        called = LambdaCalls(client_of(session, service.endpoint, 60, 8), "function", threads=8)
        stored = Stored(blobs, objects, StoredImages(blobs, "bucket", folder / "spool"))
        runner = LambdaRunner(called, stored, LambdaConfig("bucket"))
        stack.push_async_callback(runner.close)
        return [*await calls(runner), *await reads(runner, blobs, objects)]


def main() -> int:
    """Print the figures; exit status 1 if a target was missed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = unpacked_zip(folder)
        figures = [*imports(root), *asyncio.run(measure(root, folder))]
    print("\n".join(map(str, figures)))
    return 0 if all(figure.held for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
