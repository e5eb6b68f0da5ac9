"""What a function reads of documents: no more than steps look at, in parallel, once while it is warm."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from rlm_rs.core.corpus import Corpus, Document, IngestStatus
from rlm_rs.core.errors import LambdaFailed
from rlm_rs.runners.lambda_runner import LambdaRunner
from rlm_rs.runners.stored_image import StoredImages
from rlm_rs.sandbox.fetched import BLOCK_BYTES
from rlm_rs.sandbox.image_cache import CacheFull, ImageCache, ImageFile
from rlm_rs.sandbox.ranges import RangeReader, ReadFailed, ReadTimedOut
from rlm_rs.storage.blobs import MemoryBlobs
from rlm_rs.testing.lambda_service import LambdaService
from rlm_rs.testing.local_server import answer
from rlm_rs.testing.object_server import ObjectServer
from rlm_rs.testing.openai_faults import Ending
from rlm_rs.testing.sandbox_contract import request, stored_corpus

BIG_BYTES = 200_000_000
NOTHING = Corpus("tenant", "session", ())


async def big_corpus(blobs: MemoryBlobs, size: int = BIG_BYTES, tenant: str = "tenant") -> Corpus:
    """One text of so many bytes that ends in "the needle"."""
    uri = f"s3://bucket/parsed/{tenant}/text.txt"
    await blobs.put(uri, b"hay " * ((size - 12) // 4) + b"  the needle")
    document = Document(
        "doc_0",
        0,
        "big.txt",
        "text/plain",
        IngestStatus.PARSED,
        text_s3_uri=uri,
        char_length=size,
        byte_length=size,
    )
    return Corpus(tenant, "session", (document,))


async def test_a_search_of_a_big_text_reads_each_block_once_and_the_next_step_reads_nothing(
    runner: LambdaRunner, blobs: MemoryBlobs, objects: ObjectServer
) -> None:
    corpus = await big_corpus(blobs)
    found = await runner.run(request("print(context[0].find('needle'))"), corpus)
    assert str(BIG_BYTES - 6) in found.stdout
    assert len(objects.reads) <= BIG_BYTES // 8_000_000 + 2
    assert sum(read.end - read.start for read in objects.reads) < BIG_BYTES + 10_000
    assert objects.at_once >= 4
    objects.reads.clear()
    again = await runner.run(request("print(context[0].find('needle'), context[0][-6:])", turn=1), corpus)
    assert "needle" in again.stdout
    assert objects.reads == []


async def test_a_slice_reads_the_block_it_lies_in(
    runner: LambdaRunner, blobs: MemoryBlobs, objects: ObjectServer
) -> None:
    size = 5 * BLOCK_BYTES
    result = await runner.run(request("print(context[0][-6:])"), await big_corpus(blobs, size))
    assert result.stdout == "needle\n"
    texts = [read for read in objects.reads if read.uri.endswith("text.txt")]
    assert [(read.start, read.end) for read in texts] == [(4 * BLOCK_BYTES, size)]


async def test_a_reader_in_order_gets_ahead_and_reads_nothing_twice(
    runner: LambdaRunner, blobs: MemoryBlobs, objects: ObjectServer
) -> None:
    objects.latency = 0.01
    code = f"for at in range(0, len(context[0]), {BLOCK_BYTES}):\n    context[0][at:at + 10]"
    await runner.run(request(code), await big_corpus(blobs, 10 * BLOCK_BYTES))
    texts = [read.start for read in objects.reads if read.uri.endswith("text.txt")]
    assert sorted(texts) == [number * BLOCK_BYTES for number in range(10)]
    assert objects.at_once >= 4


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_read_that_fails_for_the_moment_is_made_again(
    runner: LambdaRunner, blobs: MemoryBlobs, objects: ObjectServer, status: int
) -> None:
    corpus = await stored_corpus(blobs, ["the text"])
    objects.faults.append(answer(status))
    result = await runner.run(request("print(context[0][:8])"), corpus)
    assert result.stdout == "the text\n"


@pytest.mark.parametrize("ending", ["closed", "dropped"])
async def test_an_answer_that_breaks_off_is_asked_for_again(
    runner: LambdaRunner, blobs: MemoryBlobs, objects: ObjectServer, images: StoredImages, ending: Ending
) -> None:
    corpus = await stored_corpus(blobs, ["the text"])
    size = (await images.ensure(corpus)).files[0][1]
    whole = answer(206, b"x" * size, Content_Range=f"bytes 0-{size - 1}/{size}")
    objects.faults.append(replace(whole, ending=ending))
    result = await runner.run(request("print(context[0][:8])"), corpus)
    assert result.stdout == "the text\n"


async def test_a_text_that_is_gone_is_an_error_of_the_runner_that_says_so(
    runner: LambdaRunner, blobs: MemoryBlobs
) -> None:
    corpus = await big_corpus(blobs, 2 * BLOCK_BYTES)
    await runner.run(request("1"), corpus)
    await blobs.delete(corpus.documents[0].text_s3_uri or "")
    with pytest.raises(LambdaFailed, match="its server said 404"):
        await runner.run(request("context[0][:8]"), corpus)


async def test_an_object_of_another_length_is_not_taken_for_the_text(
    runner: LambdaRunner, blobs: MemoryBlobs
) -> None:
    corpus = await big_corpus(blobs, 2 * BLOCK_BYTES)
    (document,) = corpus.documents
    longer = replace(document, byte_length=2 * BLOCK_BYTES + 4, char_length=2 * BLOCK_BYTES + 4)
    with pytest.raises(LambdaFailed, match="not as long"):
        await runner.run(request("context[0][:8]"), replace(corpus, documents=(longer,)))


async def test_what_does_not_fit_into_the_function_is_an_error_of_the_step(
    runner: LambdaRunner, blobs: MemoryBlobs, service: LambdaService
) -> None:
    service.variables = {"RLM_CACHE_BYTES": str(2 * BLOCK_BYTES)}
    result = await runner.run(
        request("print(context[0].find('needle'))"), await big_corpus(blobs, 3 * BLOCK_BYTES)
    )
    assert result.error is not None
    assert result.error.code == "STEP_READ_LIMIT"
    assert (await runner.run(request("print('alive')", turn=1), NOTHING)).stdout == "alive\n"


class TestCache:
    """The cache by itself, over an object server."""

    @pytest.fixture
    async def files(self, blobs: MemoryBlobs, objects: ObjectServer) -> list[ImageFile]:
        corpus = await big_corpus(blobs, 3 * BLOCK_BYTES)
        (url,) = await objects.links([corpus.documents[0].text_s3_uri or ""], 60)
        return [ImageFile(url, 3 * BLOCK_BYTES)]

    async def fetched(self, cache: ImageCache, key: str, files: list[ImageFile], *blocks: int) -> None:
        image = cache.image(key * 64, files)
        deadline = time.monotonic() + 10
        await asyncio.to_thread(cache.fetch, image, (0, *blocks), RangeReader(), deadline)

    async def test_what_was_used_longest_ago_makes_room(self, tmp_path: Path, files: list[ImageFile]) -> None:
        cache = ImageCache(tmp_path / "cache", 3 * BLOCK_BYTES)
        await self.fetched(cache, "a", files, 0, 1)
        await self.fetched(cache, "b", files, 1, 1)
        await self.fetched(cache, "a", files, 0, 0)
        await self.fetched(cache, "c", files, 2, 2)
        assert sorted(path.name[0] for path in (tmp_path / "cache").iterdir()) == ["a", "c"]
        assert cache.kept_bytes == 3 * BLOCK_BYTES

    async def test_what_a_reader_in_order_may_want_next_takes_no_room_from_what_it_wants(
        self, tmp_path: Path, files: list[ImageFile]
    ) -> None:
        cache = ImageCache(tmp_path / "cache", 2 * BLOCK_BYTES)
        await self.fetched(cache, "a", files, 0, 0)
        await self.fetched(cache, "a", files, 1, 1)
        assert cache.kept_bytes == 2 * BLOCK_BYTES
        with pytest.raises(CacheFull):
            await self.fetched(cache, "a", files, 2, 2)

    async def test_ended_links_are_refused(self, tmp_path: Path, objects: ObjectServer) -> None:
        (url,) = await objects.links(["s3://bucket/key"], -1)
        cache = ImageCache(tmp_path / "cache", BLOCK_BYTES)
        with pytest.raises(ReadFailed, match="403"):
            await self.fetched(cache, "a", [ImageFile(url, 8)], 0, 0)

    async def test_reading_ends_with_the_time_allowed(
        self, tmp_path: Path, objects: ObjectServer, files: list[ImageFile]
    ) -> None:
        cache = ImageCache(tmp_path / "cache", BLOCK_BYTES)
        image = cache.image("a" * 64, files)
        with pytest.raises(ReadTimedOut):
            await asyncio.to_thread(cache.fetch, image, (0, 0, 0), RangeReader(), time.monotonic())
        assert objects.reads == []

    @pytest.mark.parametrize("key", ["", "../" + "a" * 61, "A" * 64, "a" * 63])
    def test_a_key_names_nothing_outside(self, tmp_path: Path, key: str) -> None:
        with pytest.raises(ValueError, match="64 hex digits"):
            ImageCache(tmp_path / "cache", 1).image(key, [])

    def test_what_a_function_before_left_is_removed(self, tmp_path: Path) -> None:
        ImageCache(tmp_path / "cache", 1).image("a" * 64, [ImageFile("http://x/", 5)])
        ImageCache(tmp_path / "cache", 1)
        assert list((tmp_path / "cache").iterdir()) == []

    @pytest.mark.parametrize("blocks", [(0, 3, 3), (0, 2, 1), (1, 0, 0), (0, 0, 2**32 - 1)])
    def test_what_a_child_asks_for_beyond_its_files_is_refused(
        self, tmp_path: Path, blocks: tuple[int, int, int]
    ) -> None:
        cache = ImageCache(tmp_path / "cache", 1)
        image = cache.image("a" * 64, [ImageFile("http://x/", 3 * BLOCK_BYTES)])
        with pytest.raises(ValueError, match="no blocks"):
            cache.fetch(image, blocks, RangeReader(), time.monotonic() + 1)
