"""Finding by words and by meaning, over any engine: the two rankings are fused.

Reciprocal rank fusion (Cormack, Clarke, Büttcher, SIGIR 2009): the score of a passage is the sum of
1 / (60 + rank) over the rankings that have it. It needs no common scale of the two.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import ProviderFailed, SearchFailed
from rlm_rs.core.ports import Blobs, Embedder, SearchIndex
from rlm_rs.core.searching import MAX_QUERY_CHARS, SearchHit, read_query
from rlm_rs.sandbox.protocol import View
from rlm_rs.search.meaning import MeaningStore

RANK_CONSTANT = 60
POOL = 50
"""How far down each ranking counts, at least."""


class FusedIndex:
    """`core.ports.SearchIndex` over another one and an embedding model."""

    def __init__(self, words: SearchIndex, embedder: Embedder, blobs: Blobs, bucket: str) -> None:
        self.name = f"{words.name} and {embedder.name}"
        self._words = words
        self._embedder = embedder
        self._blobs = blobs
        self._bucket = bucket
        self._store = MeaningStore(blobs, embedder)

    def identity(self, corpus: Corpus) -> str:
        both = f"{self._words.identity(corpus)}\0{self._embedder.name}"
        return hashlib.sha256(both.encode()).hexdigest()[:32]

    async def is_built(self, corpus: Corpus) -> bool:
        return await self._words.is_built(corpus) and await self._store.is_built(self._prefix(corpus))

    async def build(self, corpus: Corpus) -> None:
        await self._words.build(corpus)
        if not await self._store.is_built(self._prefix(corpus)):
            try:
                await self._store.build(corpus, self._prefix(corpus))
            except ProviderFailed as error:
                raise SearchFailed(reason=error.message.rstrip(".")) from error

    async def query(
        self, corpus: Corpus, query: str, k: int, views: Sequence[View] | None = None
    ) -> Sequence[SearchHit]:
        pool = max(k, POOL)
        by_words = await self._words.query(corpus, query, pool, views)
        meanings = await self._store.meanings(self._prefix(corpus))
        wanted = read_query(query)
        if wanted.is_empty or views == ():
            return by_words
        try:
            (vector,) = await self._embedder.embed([query[:MAX_QUERY_CHARS]])
        except ProviderFailed as error:
            raise SearchFailed(reason=error.message.rstrip(".")) from error
        by_meaning = await asyncio.to_thread(meanings.nearest, vector, pool, views)
        if wanted.phrases:
            # a quotation must occur, however close the meaning
            allowed = {_place(hit) for hit in by_words}
            by_meaning = [hit for hit in by_meaning if _place(hit) in allowed]
        return fused(by_words, by_meaning)[:k]

    async def remove(self, tenant_id: str, session_id: str) -> None:
        prefix = self._session_prefix(tenant_id, session_id)
        self._store.forget(prefix)
        await self._words.remove(tenant_id, session_id)
        await self._blobs.delete_prefix(prefix)

    async def close(self) -> None:
        await self._words.close()
        await self._embedder.close()

    def _session_prefix(self, tenant_id: str, session_id: str) -> str:
        return f"s3://{self._bucket}/parsed/{tenant_id}/{session_id}/search/"

    def _prefix(self, corpus: Corpus) -> str:
        place = self._session_prefix(corpus.tenant_id, corpus.session_id)
        return f"{place}meaning-{self.identity(corpus)}/"


def fused(*rankings: Sequence[SearchHit]) -> list[SearchHit]:
    """The passages of all rankings by reciprocal rank."""
    scores: dict[tuple[int, int, int], float] = {}
    for ranking in rankings:
        for rank, hit in enumerate(ranking, 1):
            scores[_place(hit)] = scores.get(_place(hit), 0.0) + 1 / (RANK_CONSTANT + rank)
    ordered = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return [SearchHit(score, *place) for place, score in ordered]


def _place(hit: SearchHit) -> tuple[int, int, int]:
    return hit.doc_index, hit.start_char, hit.end_char
