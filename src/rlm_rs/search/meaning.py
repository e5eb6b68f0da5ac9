"""Passages by meaning: their vectors, kept beside the documents, and the ones nearest to a query's.

    parsed/{tenant}/{session}/search/meaning-{identity}/{part}.npz   places and vectors of some documents
    parsed/{tenant}/{session}/search/meaning-{identity}/parts.json   how many parts there are: all are whole

Vectors are compared one by one, in memory: exact, and quick up to some hundred thousand passages.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import BlobNotFound, SearchFailed, SearchNotReady
from rlm_rs.core.ports import Blobs, Embedder
from rlm_rs.core.searching import SearchHit
from rlm_rs.sandbox.protocol import View
from rlm_rs.search.documents import Readable, groups, readable

OPEN = 4
LENGTHS = "the embedding model gave vectors of different lengths"
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Meanings:
    """The passages of a session: rows of (doc_index, start_char, end_char) and of unit vectors."""

    places: Array
    vectors: Array

    def nearest(self, wanted: Sequence[float], k: int, views: Sequence[View] | None) -> list[SearchHit]:
        """The `k` passages nearest in direction, best first.

        Raises `SearchFailed` for a vector of another length than theirs.
        """
        inside = np.flatnonzero(self._inside(views))
        if not len(inside):
            return []
        if len(wanted) != self.vectors.shape[1]:
            lengths = f"{len(wanted)} numbers where the passages' have {self.vectors.shape[1]}"
            raise SearchFailed(reason=f"the embedding model gave the query {lengths}")
        scores = self.vectors[inside] @ _unit(np.asarray([wanted], dtype=np.float32))[0]
        best = np.argsort(-scores, kind="stable")[:k]
        return [SearchHit(float(scores[i]), *map(int, self.places[inside[i]])) for i in best]

    def _inside(self, views: Sequence[View] | None) -> Array:
        if views is None:
            return np.ones(len(self.places), dtype=bool)
        inside = np.zeros(len(self.places), dtype=bool)
        document, start, end = self.places.T
        for view in views:
            overlaps = (document == view.doc_index) & (end > view.start_char)
            inside |= overlaps if view.end_char is None else overlaps & (start < view.end_char)
        return inside


class MeaningStore:
    """Makes and keeps the vectors of sessions."""

    def __init__(self, blobs: Blobs, embedder: Embedder) -> None:
        self._blobs = blobs
        self._embedder = embedder
        self._open: OrderedDict[str, Meanings] = OrderedDict()

    async def is_built(self, prefix: str) -> bool:
        """Whether all vectors are there."""
        try:
            await self._blobs.size(f"{prefix}parts.json")
        except BlobNotFound:
            return False
        return True

    async def build(self, corpus: Corpus, prefix: str) -> None:
        """Embed every passage; what was paid for before a crash is not paid again."""
        done = set(await self._blobs.list(prefix))
        number = 0
        with tempfile.TemporaryDirectory(prefix="rlm_search_") as spool:
            try:
                async for group in groups(self._blobs, readable(corpus), Path(spool)):
                    uri = f"{prefix}{number:06d}.npz"
                    if uri not in done:
                        await self._blobs.put(uri, await self._embedded(group))
                    number += 1
            except BlobNotFound as error:
                raise SearchFailed(reason=f"a text is missing ({error.message})") from error
        await self._blobs.put(f"{prefix}parts.json", orjson.dumps({"parts": number}))

    async def meanings(self, prefix: str) -> Meanings:
        """The vectors below a URI prefix. Raises `SearchNotReady`."""
        if prefix not in self._open:
            self._open[prefix] = await self._read(prefix)
            if len(self._open) > OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(prefix)
        return self._open[prefix]

    def forget(self, prefix: str) -> None:
        """Let go of what lies below a URI prefix."""
        for name in [name for name in self._open if name.startswith(prefix)]:
            del self._open[name]

    async def _embedded(self, group: Sequence[Readable]) -> bytes:
        found = await asyncio.to_thread(
            lambda: [(item.document.doc_index, *passage) for item in group for passage in item.passages()]
        )
        vectors = await self._embedder.embed([text for *_, text in found])
        places = [(document, start, start + len(text)) for document, start, text in found]
        return await asyncio.to_thread(_packed, places, vectors)

    async def _read(self, prefix: str) -> Meanings:
        try:
            parts = orjson.loads(await self._blobs.get(f"{prefix}parts.json"))["parts"]
            data = [await self._blobs.get(f"{prefix}{number:06d}.npz") for number in range(parts)]
        except BlobNotFound:
            raise SearchNotReady from None
        return await asyncio.to_thread(_unpacked, data)


def _packed(places: Sequence[tuple[int, int, int]], vectors: Sequence[Sequence[float]]) -> bytes:
    if len({len(vector) for vector in vectors}) > 1:
        raise SearchFailed(reason=LENGTHS)
    file = io.BytesIO()
    np.savez(
        file,
        places=np.asarray(places, dtype=np.int64).reshape(-1, 3),
        vectors=_unit(np.asarray(vectors, dtype=np.float32)).astype(np.float16),
    )
    return file.getvalue()


def _unpacked(data: Sequence[bytes]) -> Meanings:
    parts = [np.load(io.BytesIO(part), allow_pickle=False) for part in data]
    full = [part for part in parts if len(part["places"])]
    if not full:
        return Meanings(np.zeros((0, 3), dtype=np.int64), np.zeros((0, 1), dtype=np.float32))
    vectors = [part["vectors"] for part in full]
    if len({part.shape[1] for part in vectors}) > 1:
        raise SearchFailed(reason=LENGTHS)
    places = np.concatenate([part["places"] for part in full])
    return Meanings(places, np.concatenate(vectors).astype(np.float32))


def _unit(vectors: Array) -> Array:
    if not vectors.size:
        return vectors
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Array = vectors / np.where(lengths == 0, 1, lengths)
    return unit
