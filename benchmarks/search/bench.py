"""What the embedded search index costs and finds, over made-up text in six scripts.

usage: bench.py [--megabytes 100] [--questions 1000] [--document-bytes 20000] [--seed 1] [--keep DIR] [--json]

Prints the time to index, the size of the index, the time of queries, and how often the known paragraph is
among the first ten hits, by script; beside it how long it takes to only read the text. Exit code 1 where a
target is missed: 20 s for 100 MB, 5 ms, 60 %.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts import SCRIPTS, Question, Writer

from rlm_rs.core.corpus import Corpus, Document, IngestStatus
from rlm_rs.core.spans import checksum
from rlm_rs.orchestrator.searches import Searches
from rlm_rs.orchestrator.texts import CHECKPOINT_CHARS, DocumentTexts
from rlm_rs.search.embedded import EmbeddedIndex
from rlm_rs.storage.blobs import DirectoryBlobs

BUCKET, TENANT, SESSION = "bench", "local", "sess_bench"
MEGABYTE = 1_000_000
TARGET_SECONDS, TARGET_MS, TARGET_SHARE = 20.0, 5.0, 0.6
K = 10


@dataclass
class Made:
    """The text on disk and the questions about it."""

    documents: list[Document] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    bytes: int = 0


def make(directory: Path, args: argparse.Namespace) -> Made:
    """Write the documents, script by script in turn, the questions' paragraphs spread over them."""
    made, writers = Made(), [Writer(script, args.seed) for script in SCRIPTS]
    count = max(len(SCRIPTS), args.megabytes * MEGABYTE // args.document_bytes)
    chance = random.Random(args.seed)
    places = Counter(chance.randrange(count) for _ in range(args.questions))
    for number in range(count):
        writer = writers[number % len(writers)]
        width = len(writer.script.letters[0].encode())
        paragraphs = list(writer.document(args.document_bytes // width))
        for _ in range(places[number]):
            _hide(writer, paragraphs, number, made, chance)
        _store(directory, number, "".join(paragraphs), made)
    return made


def _hide(writer: Writer, paragraphs: list[str], number: int, made: Made, chance: random.Random) -> None:
    """Put one more paragraph to the end, so that the places of those before stay."""
    paragraph, question = writer.hidden()
    paragraphs.append(writer.paragraph())
    start = sum(map(len, paragraphs))
    paragraphs.append(paragraph)
    made.questions.append(
        Question(writer.script.name, question, number, start, start + len(paragraph.rstrip()))
    )


def _store(directory: Path, number: int, text: str, made: Made) -> None:
    """One document as ingestion stores it."""
    key = f"parsed/{TENANT}/{SESSION}/doc_{number}"
    folder = directory / BUCKET / key
    folder.mkdir(parents=True)
    data = text.encode()
    (folder / "text.txt").write_bytes(data)
    (folder / "meta.json").write_text("{}")
    offsets, at = bytearray(), 0
    for start in range(0, len(text), CHECKPOINT_CHARS):
        offsets += at.to_bytes(8, "little")
        at += len(text[start : start + CHECKPOINT_CHARS].encode())
    (folder / "offsets.u64").write_bytes(offsets)
    place = f"s3://{BUCKET}/{key}"
    made.bytes += len(data)
    made.documents.append(
        Document(
            doc_id=f"doc_{number}",
            doc_index=number,
            source_name=f"{number}.txt",
            mime_type="text/plain",
            ingest_status=IngestStatus.PARSED,
            text_s3_uri=f"{place}/text.txt",
            meta_s3_uri=f"{place}/meta.json",
            offsets_index_uri=None if text.isascii() else f"{place}/offsets.u64",
            char_length=len(text),
            byte_length=len(data),
            text_checksum=checksum(text),
        )
    )


def read_seconds(directory: Path) -> float:
    """How long it takes to read all texts and nothing else."""
    began = time.perf_counter()
    for path in directory.rglob("text.txt"):
        path.read_bytes().decode()
    return time.perf_counter() - began


async def measure(directory: Path, made: Made) -> dict[str, Any]:
    """Index, then ask."""
    blobs = DirectoryBlobs(directory)
    corpus = Corpus(TENANT, SESSION, tuple(made.documents))
    index = EmbeddedIndex(blobs, BUCKET, directory / "indexes")
    began = time.perf_counter()
    await index.build(corpus)
    seconds = time.perf_counter() - began
    prefix = f"s3://{BUCKET}/parsed/{TENANT}/{SESSION}/search/"
    size = sum([await blobs.size(uri) for uri in await blobs.list(prefix)])
    began = time.perf_counter()
    await index.query(corpus, "first", K)
    opened = time.perf_counter() - began
    found, times = await ask(index, corpus, made.questions)
    searches = Searches(index, blobs, DocumentTexts(blobs), BUCKET)
    whole = [await timed(searches.find(corpus, q.text, K, None)) for q in made.questions[:200]]
    return {
        "text_mb": round(made.bytes / MEGABYTE, 1),
        "documents": len(made.documents),
        "read_seconds": round(read_seconds(directory), 2),
        "index_seconds": round(seconds, 2),
        "index_mb": round(size / MEGABYTE, 1),
        "index_share": round(size / made.bytes, 3),
        "open_ms": round(opened * 1e3, 1),
        "query_ms": spread(times),
        "search_ms": spread(whole),
        "questions": len(made.questions),
        "recall_at_10": {name: round(share, 3) for name, share in found.items()},
    }


async def ask(
    index: EmbeddedIndex, corpus: Corpus, questions: Sequence[Question]
) -> tuple[dict[str, float], list[float]]:
    """How many of the paragraphs are among the hits, by script and together; seconds of each query."""
    asked, found, times = Counter[str](), Counter[str](), []
    for question in questions:
        began = time.perf_counter()
        hits = await index.query(corpus, question.text, K)
        times.append(time.perf_counter() - began)
        held = any(
            hit.doc_index == question.document
            and min(hit.end_char, question.end_char) - max(hit.start_char, question.start_char)
            > (question.end_char - question.start_char) / 2
            for hit in hits
        )
        for name in (question.script, "all"):
            asked[name] += 1
            found[name] += held
    return {name: found[name] / asked[name] for name in sorted(asked)}, times


async def timed(work: Any) -> float:
    """Seconds that some work takes."""
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile, in milliseconds."""
    ordered = sorted(seconds) or [0.0]
    late = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return {"p50": round(statistics.median(ordered) * 1e3, 2), "p99": round(late * 1e3, 2)}


def missed(result: dict[str, Any]) -> list[str]:
    """The targets that were missed, in words."""
    allowed = TARGET_SECONDS * max(1.0, result["text_mb"] / 100)
    checks = {
        f"index in {allowed:.0f} s": result["index_seconds"] <= allowed,
        f"query p50 in {TARGET_MS:.0f} ms": result["query_ms"]["p50"] <= TARGET_MS,
        f"index under {TARGET_SHARE:.0%} of the text": result["index_share"] <= TARGET_SHARE,
    }
    return [name for name, held in checks.items() if not held]


def main() -> int:
    """Make, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--questions", type=int, default=1_000)
    parser.add_argument("--document-bytes", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--keep", type=Path, help="where to leave text and index; by default they are removed"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rlm_bench_") as scratch:
        directory = args.keep or Path(scratch)
        result = asyncio.run(measure(directory, make(directory, args)))
    result["missed"] = missed(result)
    if args.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:15} {json.dumps(value, ensure_ascii=False)}")
    return 1 if result["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
