"""OpenSearch through its official client, against a server that speaks its protocol over a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from rlm_rs.core.errors import SearchFailed
from rlm_rs.core.ports import Blobs
from rlm_rs.storage.blobs import MemoryBlobs

pytest.importorskip("opensearchpy", reason="it needs rlm-rs[opensearch]")

from rlm_rs.search.opensearch import OpenSearchIndex
from rlm_rs.testing.opensearch_server import OpenSearchTestServer
from rlm_rs.testing.search_contract import SearchIndexContract, found, stored


@pytest.fixture
def server() -> Iterator[OpenSearchTestServer]:
    with OpenSearchTestServer() as server:
        yield server


@pytest.fixture
async def opened(server: OpenSearchTestServer) -> AsyncIterator[OpenSearchIndex]:
    index = OpenSearchIndex(MemoryBlobs(), server.url)
    yield index
    await index.close()


class TestOpenSearchIndex(SearchIndexContract):
    @pytest.fixture
    async def index(  # type: ignore[override]
        self, blobs: Blobs, server: OpenSearchTestServer
    ) -> AsyncIterator[OpenSearchIndex]:
        index = OpenSearchIndex(blobs, server.url)
        yield index
        await index.close()


async def test_building_goes_on_after_the_documents_that_are_in(server: OpenSearchTestServer) -> None:
    blobs = MemoryBlobs()
    corpus = await stored(blobs, [f"common word{number}" for number in range(600)])
    index = OpenSearchIndex(blobs, server.url)
    # nothing of the index is there, it is made, and of three groups the first comes through
    server.faults.extend([0, 0, 0, 0, 0, 0, 400])
    with pytest.raises(SearchFailed):
        await index.build(corpus)
    assert not await index.is_built(corpus)
    (name,) = server.indexes
    done = server.indexes[name].mappings["_meta"]["documents"]
    assert 0 < done < 600
    sent = len(server.indexes[name].entries)
    server.requests.clear()
    await OpenSearchIndex(blobs, server.url).build(corpus)
    assert len(server.indexes[name].entries) == 600
    assert sum(path.endswith("_bulk") for _, path in server.requests) == -(-(600 - done) // 256)
    assert sent == done
    assert await found(index, corpus, "word599") == [599]
    await index.close()


async def test_the_text_is_not_stored_there(server: OpenSearchTestServer, opened: OpenSearchIndex) -> None:
    blobs = MemoryBlobs()
    corpus = await stored(blobs, ["The secret word."])
    index = OpenSearchIndex(blobs, server.url)
    await index.build(corpus)
    (built,) = server.indexes.values()
    assert built.mappings["_source"] == {"excludes": ["words", "pairs"]}
    assert "tenant" not in next(iter(server.indexes))
    await index.close()


async def test_a_refused_login_is_said_and_the_password_is_not() -> None:
    with OpenSearchTestServer() as server:
        server.faults.extend([401] * 4)
        blobs = MemoryBlobs()
        corpus = await stored(blobs, ["word"])
        index = OpenSearchIndex(blobs, server.url, ("me", "sesame"))
        with pytest.raises(SearchFailed, match="401") as refused:
            await index.build(corpus)
        assert "sesame" not in refused.value.message
        await index.close()


async def test_a_server_that_is_away_is_an_error_that_says_so() -> None:
    with OpenSearchTestServer() as server:
        url = server.url
    blobs = MemoryBlobs()
    corpus = await stored(blobs, ["word"])
    index = OpenSearchIndex(blobs, url, timeout=2)
    with pytest.raises(SearchFailed, match="OpenSearch"):
        await index.build(corpus)
    await index.close()
