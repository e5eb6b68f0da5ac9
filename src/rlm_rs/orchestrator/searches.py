"""Searches: answered from the cache where they can be, shared while in flight, shown with a preview.

The record of a search is kept like that of a model call, `cache/{tenant}/search/{hash}.json`. Its hash
covers what the answer depends on: the texts of the documents, the engine, the query, and where to look.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import BlobNotFound
from rlm_rs.core.ports import Blobs, SearchIndex
from rlm_rs.core.searching import SearchHit, SearchQuery, preview, read_query
from rlm_rs.core.wellformed import well_formed
from rlm_rs.orchestrator.in_flight import InFlight
from rlm_rs.orchestrator.texts import DocumentTexts
from rlm_rs.sandbox.protocol import View

READ_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Found:
    """What a search gave. hits: `{score, doc_index, start_char, end_char, preview}`, absolute offsets.

    uri: where its record is kept.
    """

    hits: tuple[dict[str, Any], ...]
    cache_hit: bool
    uri: str


class Searches:
    """Searches with cache and in-flight sharing over one index. Belongs to one event loop."""

    def __init__(self, index: SearchIndex, blobs: Blobs, texts: DocumentTexts, bucket: str) -> None:
        self.index = index
        self._blobs = blobs
        self._texts = texts
        self._bucket = bucket
        self._in_flight: InFlight[tuple[tuple[dict[str, Any], ...], bool]] = InFlight()
        self._building: InFlight[None] = InFlight()

    async def find(self, corpus: Corpus, query: str, k: int, views: Sequence[View] | None) -> Found:
        """The `k` best passages. Raises `SearchNotReady` if there is no index yet, and `SearchFailed`."""
        query = well_formed(query)
        asked = {
            "index": self.index.identity(corpus),
            "query": query,
            "k": k,
            "views": None if views is None else [asdict(view) for view in views],
        }
        digest = hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()
        uri = f"s3://{self._bucket}/cache/{corpus.tenant_id}/search/{digest}.json"

        async def look() -> tuple[tuple[dict[str, Any], ...], bool]:
            recorded = await self._recorded(uri)
            if recorded is not None:
                return recorded, True
            hits = await self._hits(corpus, query, k, views)
            record = {"created_at": time.time(), "provider": self.index.name, "request": asked}
            await self._blobs.put(uri, orjson.dumps({**record, "response": {"hits": hits}}))
            return hits, False

        hits, cache_hit = await self._in_flight.shared(uri, look)
        return Found(hits, cache_hit, uri)

    async def build(self, corpus: Corpus) -> None:
        """Build the index of a session, once for all who ask for it here. Raises `SearchFailed`."""
        key = f"{corpus.tenant_id}/{corpus.session_id}/{self.index.identity(corpus)}"
        await self._building.shared(key, lambda: self.index.build(corpus))

    async def _recorded(self, uri: str) -> tuple[dict[str, Any], ...] | None:
        try:
            record = orjson.loads(await self._blobs.get(uri))
            return tuple(dict(hit) for hit in record["response"]["hits"])
        except (BlobNotFound, ValueError, KeyError, TypeError):
            # a record that cannot be read is as good as none: the search is made again
            return None

    async def _hits(
        self, corpus: Corpus, query: str, k: int, views: Sequence[View] | None
    ) -> tuple[dict[str, Any], ...]:
        wanted = read_query(query)
        found = await self.index.query(corpus, query, k, views)
        clipped = [hit for hit in (_clipped(hit, views) for hit in found) if hit is not None]
        shown: list[dict[str, Any]] = []
        for at in range(0, len(clipped), READ_AT_ONCE):
            part = clipped[at : at + READ_AT_ONCE]
            shown += await asyncio.gather(*(self._shown(corpus, hit, wanted) for hit in part))
        return tuple(shown)

    async def _shown(self, corpus: Corpus, hit: SearchHit, wanted: SearchQuery) -> dict[str, Any]:
        document = corpus.documents[hit.doc_index]
        passage = await self._texts.read(document, hit.start_char, hit.end_char)
        return {**asdict(hit), "score": round(hit.score, 6), "preview": preview(passage, wanted)}


def _clipped(hit: SearchHit, views: Sequence[View] | None) -> SearchHit | None:
    """The part of a hit that the first view shows which shows any of it."""
    if views is None:
        return hit
    for view in views:
        start = max(hit.start_char, view.start_char)
        end = hit.end_char if view.end_char is None else min(hit.end_char, view.end_char)
        if view.doc_index == hit.doc_index and start < end:
            return SearchHit(hit.score, hit.doc_index, start, end)
    return None
