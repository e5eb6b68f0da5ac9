"""OpenSearch through its official client, against a server that speaks its protocol over a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from rlm_rs.core.ports import Blobs

pytest.importorskip("opensearchpy", reason="it needs rlm-rs[opensearch]")

from rlm_rs.search.opensearch import OpenSearchIndex
from rlm_rs.testing.opensearch_server import OpenSearchTestServer
from rlm_rs.testing.search_contract import SearchIndexContract


@pytest.fixture
def server() -> Iterator[OpenSearchTestServer]:
    with OpenSearchTestServer() as server:
        yield server


class TestOpenSearchIndex(SearchIndexContract):
    @pytest.fixture
    async def index(  # type: ignore[override]
        self, blobs: Blobs, server: OpenSearchTestServer
    ) -> AsyncIterator[OpenSearchIndex]:
        index = OpenSearchIndex(blobs, server.url)
        yield index
        await index.close()
