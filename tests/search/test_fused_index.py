"""Meaning beside words, over the test server's embeddings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from rlm_rs.core.errors import SearchFailed
from rlm_rs.core.ports import Blobs
from rlm_rs.core.searching import SearchHit
from rlm_rs.core.words import words_of
from rlm_rs.providers.openai import OpenAIConfig
from rlm_rs.providers.openai_embeddings import BATCH_TEXTS, OpenAIEmbedder
from rlm_rs.sandbox.protocol import View
from rlm_rs.search.embedded import EmbeddedIndex
from rlm_rs.storage.blobs import MemoryBlobs
from rlm_rs.testing.openai_script import HouseRules
from rlm_rs.testing.openai_server import OpenAITestServer
from rlm_rs.testing.search_contract import BUCKET, found, stored

pytest.importorskip("numpy", reason="it needs rlm-rs[embeddings]")

from rlm_rs.search.fused import FusedIndex, fused
from rlm_rs.search.meaning import _packed

TEXTS = ["The car is red.", "Bread is baked at dawn.", "An automobile needs oil.", "Rivers run to the sea."]
MEANINGS = ({"car", "automobile", "vehicle"}, {"bread", "loaf"}, {"river", "rivers", "stream"})


def meaning(text: str) -> list[float]:
    words = set(words_of(text))
    return [float(len(words & alike)) for alike in MEANINGS] + [0.01]


Made = Callable[..., Awaitable[tuple[FusedIndex, OpenAITestServer]]]


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Made]:
    async with AsyncExitStack() as stack:

        async def make(blobs: Blobs, **house: object) -> tuple[FusedIndex, OpenAITestServer]:
            rules = HouseRules(**house)  # type: ignore[arg-type]
            server = await stack.enter_async_context(OpenAITestServer([], house=rules, embed=meaning))
            config = OpenAIConfig(api_key="any", base_url=server.base_url, retry_base_seconds=0.01)
            embedder = OpenAIEmbedder(config, "meanings")
            index = FusedIndex(EmbeddedIndex(blobs, BUCKET, tmp_path), embedder, blobs, BUCKET)
            stack.push_async_callback(index.close)
            return index, server

        yield make


async def test_a_passage_is_found_by_meaning_that_no_word_finds(made: Made) -> None:
    blobs = MemoryBlobs()
    corpus = await stored(blobs, TEXTS)
    index, _ = await made(blobs)
    await index.build(corpus)
    assert sorted((await found(index, corpus, "vehicle"))[:2]) == [0, 2]
    # both rankings agree on the first
    assert (await found(index, corpus, "car"))[0] == 0
    hits = await index.query(corpus, "vehicle", 10, [View(2), View(3, 0, 6)])
    assert hits[0].doc_index == 2
    assert {hit.doc_index for hit in hits} == {2, 3}
    assert await index.query(corpus, "vehicle", 10, []) == []


async def test_a_quotation_must_occur_whatever_it_means(made: Made) -> None:
    blobs = MemoryBlobs()
    corpus = await stored(blobs, TEXTS)
    index, _ = await made(blobs)
    await index.build(corpus)
    assert await found(index, corpus, '"the car"') == [0]
    assert await found(index, corpus, '"car the"') == []
    assert await found(index, corpus, "…") == []


async def test_every_passage_is_embedded_once_and_found_by_another_process(made: Made) -> None:
    blobs = MemoryBlobs()
    corpus = await stored(blobs, [f"Text {number} about rivers." for number in range(BATCH_TEXTS + 5)])
    index, server = await made(blobs)
    assert not await index.is_built(corpus)
    await index.build(corpus)
    await index.build(corpus)
    assert len(server.embedded) == BATCH_TEXTS + 5
    other, untouched = await made(blobs)
    assert await other.is_built(corpus)
    await other.build(corpus)
    assert len(await other.query(corpus, "stream", 100)) == BATCH_TEXTS + 5
    assert untouched.embedded == ["stream"]


async def test_vectors_of_other_lengths_than_the_stored_ones_are_said(made: Made) -> None:
    blobs = MemoryBlobs()
    corpus = await stored(blobs, TEXTS)
    index, server = await made(blobs)
    await index.build(corpus)
    server._embed = lambda text: [*meaning(text), 1.0]
    with pytest.raises(SearchFailed, match="the query 5 numbers where the passages' have 4"):
        await index.query(corpus, "vehicle", 5)


async def test_parts_of_different_lengths_are_said(made: Made) -> None:
    blobs = MemoryBlobs()
    corpus = await stored(blobs, TEXTS)
    index, _ = await made(blobs)
    await index.build(corpus)
    prefix = index._prefix(corpus)
    await blobs.put(f"{prefix}000001.npz", _packed([(0, 0, 1)], [[1.0, 2.0]]))
    await blobs.delete(f"{prefix}parts.json")
    await blobs.put(f"{prefix}parts.json", b'{"parts":2}')
    with pytest.raises(SearchFailed, match="different lengths"):
        await index.query(corpus, "vehicle", 5)


async def test_removal_takes_the_vectors_too(made: Made) -> None:
    blobs = MemoryBlobs()
    corpus = await stored(blobs, TEXTS)
    before = await blobs.list(f"s3://{BUCKET}/")
    index, _ = await made(blobs)
    await index.build(corpus)
    await index.query(corpus, "car", 1)
    await index.remove(corpus.tenant_id, corpus.session_id)
    assert await blobs.list(f"s3://{BUCKET}/") == before


async def test_a_refused_key_is_said(made: Made) -> None:
    blobs = MemoryBlobs()
    corpus = await stored(blobs, TEXTS)
    index, _ = await made(blobs, keys=("another",))
    with pytest.raises(SearchFailed, match="OPENAI_API_KEY"):
        await index.build(corpus)


def test_ranks_are_fused_not_scores() -> None:
    first, second, third = (SearchHit(score, n, 0, 1) for n, score in enumerate((9.0, 8.0, 7.0)))
    assert [hit.doc_index for hit in fused([first, second], [second, third])] == [1, 0, 2]
    assert fused([], []) == []
