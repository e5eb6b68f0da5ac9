"""A session is made once from its sources, found by content, and made anew where it cannot be trusted."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from pathlib import Path

import pytest

from rlm_rs.core.corpus import Corpus, Document, Failure, IngestStatus, Parsed, Source
from rlm_rs.core.errors import SessionNotFound, SessionNotReady
from rlm_rs.core.records import SessionStatus
from rlm_rs.orchestrator.ingestion import Ingestion
from rlm_rs.orchestrator.sessions import corpus_of, create_corpus, find_corpus, fingerprint_of
from rlm_rs.orchestrator.texts import DocumentTexts
from rlm_rs.storage.blobs import MemoryBlobs
from rlm_rs.storage.memory import MemoryCatalog


class UpperCaseParser:
    """Reads a file as ASCII in capitals; an empty file fails, `late` takes too long, `boom` breaks it."""

    version = "upper-1"

    async def parse(
        self, source_path: Path, source_name: str, mime_type: str | None, output_dir: Path
    ) -> Parsed | Failure:
        return self._parsed(source_path.read_bytes(), output_dir)  # noqa: ASYNC240

    def _parsed(self, raw: bytes, output_dir: Path) -> Parsed | Failure:
        if raw == b"boom":
            raise RuntimeError("the parser is broken")
        if raw == b"late":
            return Failure("PARSE_TIMEOUT", "It took too long.")
        if not raw:
            return Failure("EMPTY", "The file is empty.")
        text = raw.upper()
        (output_dir / "text.txt").write_bytes(text)
        (output_dir / "meta.json").write_bytes(b"{}")
        (output_dir / "offsets.json").write_bytes(b"{}")
        return Parsed(
            len(text),
            len(text),
            0,
            f"sha256:{hashlib.sha256(text).hexdigest()}",
            f"sha256:{hashlib.sha256(raw).hexdigest()}",
            "text/plain",
            self.version,
        )

    async def close(self) -> None:
        """Nothing to end."""


class Desk:
    """An ingestion into memory and what it stores to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs, self.catalog = MemoryBlobs(), MemoryCatalog()
        self.texts = DocumentTexts(self.blobs)
        self.spool = folder / "spool"
        self.ingestion = Ingestion(UpperCaseParser(), self.blobs, "bucket", "local", "sess_1", self.spool)

    def source(self, name: str, content: bytes) -> Source:
        path = self.folder / name
        path.write_bytes(content)
        return Source(name, path, byte_length=len(content))

    async def found_again(self, sources: list[Source]) -> tuple[Corpus, str]:
        """A session that is to be found again, and what by."""
        fingerprint = await fingerprint_of(sources, "1")
        return await create_corpus(self.ingestion, sources, self.catalog, fingerprint), fingerprint.whole


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_sources_become_documents_in_their_order(desk: Desk) -> None:
    sources = [desk.source(f"{i}.txt", f"text {i}".encode()) for i in range(12)]
    corpus = await create_corpus(desk.ingestion, sources, desk.catalog)
    assert [d.source_name for d in corpus.documents] == [f"{i}.txt" for i in range(12)]
    assert [d.doc_index for d in corpus.documents] == list(range(12))
    assert await desk.texts.read(corpus.documents[7], 0, 100) == "TEXT 7"
    assert await corpus_of("local", "sess_1", desk.catalog) == corpus
    assert not list(desk.spool.glob("*"))


async def test_one_bad_file_fails_alone(desk: Desk) -> None:
    unreadable = Source("locked.txt", desk.folder / "locked", failure=Failure("UNREADABLE", "No permission."))
    sources = [desk.source("a.txt", b"good"), desk.source("b.txt", b""), unreadable]
    corpus = await create_corpus(desk.ingestion, sources, desk.catalog)
    assert [d.ingest_status for d in corpus.documents] == [
        IngestStatus.PARSED,
        IngestStatus.FAILED,
        IngestStatus.FAILED,
    ]
    assert [d.failure and d.failure.code for d in corpus.documents] == [None, "EMPTY", "UNREADABLE"]


async def test_no_readable_file_at_all_is_one_clear_error_and_a_failed_session(desk: Desk) -> None:
    with pytest.raises(SessionNotReady, match=r"a\.txt: The file is empty\..*1 more"):
        await desk.found_again([desk.source("a.txt", b""), desk.source("b.txt", b"")])
    session = await desk.catalog.get_session("local", "sess_1")
    assert session is not None
    assert session.status == SessionStatus.FAILED
    assert session.fingerprint is None


async def test_an_interrupted_ingestion_leaves_nothing_half_written(desk: Desk) -> None:
    sources = [*(desk.source(f"{i}.txt", b"good") for i in range(5)), desk.source("x", b"boom")]
    with pytest.raises(RuntimeError, match="broken"):
        await create_corpus(desk.ingestion, sources, desk.catalog)
    assert list(await desk.blobs.list("s3://bucket/")) == []
    assert await desk.catalog.get_session("local", "sess_1") is None


async def test_progress_follows_every_document(desk: Desk) -> None:
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int, document: Document) -> None:
        assert document.source_name
        seen.append((done, total))

    await create_corpus(
        desk.ingestion, [desk.source(f"{i}", b"x") for i in range(3)], desk.catalog, None, progress
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


async def test_the_same_content_is_found_again(desk: Desk) -> None:
    corpus, fingerprint = await desk.found_again([desk.source("a.txt", b"good"), desk.source("b.txt", b"")])
    assert await find_corpus("local", fingerprint, desk.catalog, desk.texts) == corpus
    assert await find_corpus("stranger", fingerprint, desk.catalog, desk.texts) is None
    assert await find_corpus("local", "other", desk.catalog, desk.texts) is None


@pytest.mark.parametrize("fate", ["changed", "lost", "expired"])
async def test_a_session_that_cannot_be_trusted_is_not_used_again(desk: Desk, fate: str) -> None:
    corpus, fingerprint = await desk.found_again([desk.source("a.txt", b"good"), desk.source("b.txt", b"")])
    uri = corpus.documents[0].text_s3_uri or ""
    if fate == "expired":
        session = await desk.catalog.get_session("local", "sess_1")
        assert session is not None
        await desk.catalog.put_session(replace(session, expires_at=time.time() - 1), [])
    else:
        await desk.blobs.delete_prefix("s3://bucket/")
    if fate == "changed":
        await desk.blobs.put(uri, b"EVIL")
    assert await find_corpus("local", fingerprint, desk.catalog, desk.texts) is None


async def test_a_session_of_a_file_that_changed_before_it_was_parsed_is_not_used_again(desk: Desk) -> None:
    source = desk.source("a.txt", b"first")
    fingerprint = await fingerprint_of([source], "1")
    corpus = await create_corpus(desk.ingestion, [desk.source("a.txt", b"other")], desk.catalog, fingerprint)
    assert await desk.texts.read(corpus.documents[0], 0, 100) == "OTHER"
    assert await find_corpus("local", fingerprint.whole, desk.catalog, desk.texts) is None


async def test_a_session_with_a_document_that_took_too_long_is_not_used_again(desk: Desk) -> None:
    sources = [desk.source("a.txt", b"good"), desk.source("b.txt", b"late")]
    _, fingerprint = await desk.found_again(sources)
    assert await find_corpus("local", fingerprint, desk.catalog, desk.texts) is None


async def test_a_session_that_is_not_there_is_not_found(desk: Desk) -> None:
    with pytest.raises(SessionNotFound, match="sess_9"):
        await corpus_of("local", "sess_9", desk.catalog)


async def print_of(sources: list[Source], parser_version: str) -> str:
    return (await fingerprint_of(sources, parser_version)).whole


async def test_a_fingerprint_is_that_of_names_contents_and_parser(desk: Desk) -> None:
    a, b = desk.source("a", b"one"), desk.source("b", b"two")
    base = await print_of([a, b], "1")
    assert base == await print_of([replace(a, path=desk.source("copy", b"one").path), b], "1")
    others = [
        await print_of([b, a], "1"),
        await print_of([a], "1"),
        await print_of([a, b], "2"),
        await print_of([replace(a, source_name="A"), b], "1"),
        await print_of([desk.source("a", b"changed"), b], "1"),
        await print_of([replace(a, path=desk.folder / "gone"), b], "1"),
        await print_of([replace(a, failure=Failure("X", "x")), b], "1"),
    ]
    assert len({base, *others}) == len(others) + 1
