"""OpenSearch behind the same port: one index for each session, so that no query reaches another's text.

Words are made here (`core.words`) and sent with spaces between them, so that the server needs no analysis
plugin and finds what the embedded engine finds. The text itself is not stored there. Names are
`{prefix}{session}-{identity}`, both hashed. How far an index has come stands in its mapping's `_meta`, so
that building goes on there after a crash.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ImproperlyConfigured, NotFoundError, OpenSearchException

from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import BlobNotFound, SearchFailed, SearchNotReady
from rlm_rs.core.passages import CUTTING_VERSION
from rlm_rs.core.ports import Blobs
from rlm_rs.core.searching import SearchHit, SearchQuery, in_a_row, read_query
from rlm_rs.core.words import RULES_VERSION, fields_of, is_paired
from rlm_rs.sandbox.protocol import View
from rlm_rs.search.documents import Readable, groups, readable

T = TypeVar("T")

DEFAULT_PREFIX = "rlm-passages-"
BULK_PASSAGES = 500
MAX_WORD_CHARS = 240
PREFIX_WORDS = 50
ROW_BOOST = 2.0
FORMAT_VERSION = "1"

SETTINGS: Mapping[str, Any] = {
    "index": {"number_of_shards": 1, "refresh_interval": -1},
    "analysis": {
        "filter": {"short": {"type": "length", "max": MAX_WORD_CHARS}},
        "analyzer": {"spaces": {"type": "custom", "tokenizer": "whitespace", "filter": ["short"]}},
    },
}
PROPERTIES: Mapping[str, Any] = {
    "words": {"type": "text", "analyzer": "spaces"},
    "pairs": {"type": "text", "analyzer": "spaces", "index_options": "docs"},
    "doc": {"type": "integer"},
    "start": {"type": "long"},
    "end": {"type": "long"},
}


class OpenSearchIndex:
    """`core.ports.SearchIndex` on a server. login: user name and password; timeout is in seconds."""

    name = "opensearch"

    def __init__(
        self,
        blobs: Blobs,
        url: str,
        login: tuple[str, str] | None = None,
        prefix: str = DEFAULT_PREFIX,
        timeout: float = 30.0,
    ) -> None:
        self._blobs = blobs
        self._prefix = prefix
        try:
            self._client = OpenSearch(
                hosts=[url], http_auth=login, timeout=timeout, max_retries=3, retry_on_timeout=True
            )
        except (ImproperlyConfigured, ValueError) as error:
            raise SearchFailed(reason=f"OPENSEARCH_URL cannot be used ({error})") from error
        self._building: dict[str, asyncio.Lock] = {}
        self._built: set[str] = set()

    def identity(self, corpus: Corpus) -> str:
        versions = f"{FORMAT_VERSION}\0{CUTTING_VERSION}\0{RULES_VERSION}"
        return hashlib.sha256(f"{versions}\0{corpus.content_digest}".encode()).hexdigest()[:32]

    async def is_built(self, corpus: Corpus) -> bool:
        index = self._index(corpus)
        if index not in self._built and await self._done(index) == len(readable(corpus)):
            self._built.add(index)
        return index in self._built

    async def build(self, corpus: Corpus) -> None:
        index = self._index(corpus)
        async with self._building.setdefault(index, asyncio.Lock()):
            if not await self.is_built(corpus):
                await self._build(corpus, index)
        self._building.pop(index, None)

    async def query(
        self, corpus: Corpus, query: str, k: int, views: Sequence[View] | None = None
    ) -> Sequence[SearchHit]:
        wanted = read_query(query)
        if not await self.is_built(corpus):
            raise SearchNotReady
        if wanted.is_empty or views == ():
            return []
        body = {"size": k, "query": _compiled(wanted, views), "_source": ["doc", "start", "end"]}
        try:
            found = await self._asked(partial(self._client.search, index=self._index(corpus), body=body))
        except NotFoundError:
            self._built.discard(self._index(corpus))
            raise SearchNotReady from None
        hits = [
            SearchHit(float(h["_score"]), *(int(h["_source"][name]) for name in ("doc", "start", "end")))
            for h in found["hits"]["hits"]
        ]
        return sorted(hits, key=lambda hit: (-hit.score, hit.doc_index, hit.start_char))

    async def remove(self, tenant_id: str, session_id: str) -> None:
        indices = self._client.indices
        try:
            found = await self._asked(partial(indices.get, index=f"{self._session(tenant_id, session_id)}*"))
        except NotFoundError:
            return
        for name in found:
            self._built.discard(name)
            await self._asked(partial(indices.delete, index=name, params={"ignore_unavailable": "true"}))

    async def close(self) -> None:
        await asyncio.to_thread(self._client.close)

    def _session(self, tenant_id: str, session_id: str) -> str:
        owner = hashlib.sha256(f"{tenant_id}\0{session_id}".encode()).hexdigest()
        return f"{self._prefix}{owner[:32]}-"

    def _index(self, corpus: Corpus) -> str:
        return self._session(corpus.tenant_id, corpus.session_id) + self.identity(corpus)

    async def _done(self, index: str) -> int | None:
        """How many documents are in the index, in their order; None where there is no index."""
        found = await self._asked(partial(self._client.indices.get_mapping, index=index, ignore=404))
        if index not in found:
            return None
        return int(found[index]["mappings"].get("_meta", {}).get("documents", 0))

    async def _build(self, corpus: Corpus, index: str) -> None:
        done = await self._done(index)
        if done is None:
            await self._create(index)
            done = 0
        with tempfile.TemporaryDirectory(prefix="rlm_search_") as spool:
            try:
                async for group in groups(self._blobs, readable(corpus)[done:], Path(spool)):
                    await self._add(index, group)
                    done += len(group)
                    await self._mark(index, done)
            except BlobNotFound as error:
                raise SearchFailed(reason=f"a text is missing ({error.message})") from error

    async def _create(self, index: str) -> None:
        mappings = {
            "_meta": {"documents": 0},
            "_source": {"excludes": ["words", "pairs"]},
            "properties": PROPERTIES,
        }
        body = {"settings": SETTINGS, "mappings": mappings}
        try:
            await self._asked(partial(self._client.indices.create, index=index, body=body))
        except SearchFailed:
            # somebody else was faster
            if await self._done(index) is None:
                raise

    async def _add(self, index: str, group: Sequence[Readable]) -> None:
        lines: list[Mapping[str, Any]] = []
        entries = await asyncio.to_thread(lambda: list(_entries(group)))
        for entry in entries:
            lines += [{"index": {"_id": f"{entry['doc']}-{entry['start']}"}}, entry]
            if len(lines) >= 2 * BULK_PASSAGES:
                await self._bulk(index, lines)
                lines = []
        if lines:
            await self._bulk(index, lines)

    async def _bulk(self, index: str, lines: Sequence[Mapping[str, Any]]) -> None:
        # the same passage sent again replaces itself
        found = await self._asked(partial(self._client.bulk, index=index, body=list(lines)))
        if found["errors"]:
            failed = next(item["index"] for item in found["items"] if item["index"].get("error"))
            raise SearchFailed(reason=f"the server refused a passage ({failed['error']})")

    async def _mark(self, index: str, documents: int) -> None:
        await self._asked(partial(self._client.indices.refresh, index=index))
        meta = {"_meta": {"documents": documents}}
        await self._asked(partial(self._client.indices.put_mapping, index=index, body=meta))

    async def _asked(self, call: Callable[[], T]) -> T:
        """What the server answers. Raises `NotFoundError`, and else `SearchFailed`."""
        try:
            return await asyncio.to_thread(call)
        except NotFoundError:
            raise
        except OpenSearchException as error:
            raise SearchFailed(reason=_said(error)) from error


def _entries(group: Sequence[Readable]) -> Iterator[dict[str, Any]]:
    for item in group:
        for start, text in item.passages():
            place = {"doc": item.document.doc_index, "start": start, "end": start + len(text)}
            yield {**place, **fields_of(text)._asdict()}


def _compiled(wanted: SearchQuery, views: Sequence[View] | None) -> dict[str, Any]:
    any_of = [_word(word) for word in wanted.words]
    any_of += [_row(run, ROW_BOOST) for run in wanted.runs]
    any_of += [_prefix(prefix) for prefix in wanted.prefixes]
    clauses: dict[str, Any] = {"must": [_row(phrase) for phrase in wanted.phrases], "should": any_of}
    clauses["minimum_should_match"] = 0 if wanted.phrases else 1
    if views is not None:
        clauses["filter"] = [_within(views)]
    return {"bool": clauses}


def _field(word: str) -> str:
    return "pairs" if is_paired(word) else "words"


def _word(word: str, boost: float = 1.0) -> dict[str, Any]:
    return {"term": {_field(word): {"value": word, "boost": boost}}}


def _row(row: Sequence[str], boost: float = 1.0) -> dict[str, Any]:
    parts = in_a_row(row)
    if len(parts) > 1:
        return {"bool": {"must": [_row(part, boost) for part in parts]}}
    if len(parts[0]) == 1:
        return _word(parts[0][0], boost)
    return {"match_phrase": {"words": {"query": " ".join(parts[0]), "boost": boost}}}


def _prefix(prefix: str) -> dict[str, Any]:
    """Words that begin so: the commonest by their own weight, all others alike."""
    field = _field(prefix)
    common = {"value": prefix, "rewrite": f"top_terms_{PREFIX_WORDS}"}
    return {"dis_max": {"queries": [{"prefix": {field: common}}, {"prefix": {field: {"value": prefix}}}]}}


def _within(views: Sequence[View]) -> dict[str, Any]:
    whole = [view.doc_index for view in views if view.start_char == 0 and view.end_char is None]
    places: list[dict[str, Any]] = [{"terms": {"doc": whole}}] if whole else []
    for view in views:
        if view.start_char or view.end_char is not None:
            inside: list[dict[str, Any]] = [
                {"term": {"doc": {"value": view.doc_index}}},
                {"range": {"end": {"gt": view.start_char}}},
            ]
            if view.end_char is not None:
                inside.append({"range": {"start": {"lt": view.end_char}}})
            places.append({"bool": {"filter": inside}})
    return {"bool": {"should": places, "minimum_should_match": 1}}


def _said(error: OpenSearchException) -> str:
    return f"OpenSearch: {' '.join(str(error).split())[:300]}"
