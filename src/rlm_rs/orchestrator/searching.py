"""Resolving a `search` sub-call: where it looks, and what is done when there is no index yet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rlm_rs.core.budget import Spend
from rlm_rs.core.corpus import Corpus, IngestStatus
from rlm_rs.core.errors import SearchFailed, SearchNotEnabled, SearchNotReady, ValidationFailed
from rlm_rs.orchestrator.indexing import SEARCH_FAILURE, index_documents
from rlm_rs.orchestrator.ports import Ports
from rlm_rs.orchestrator.searches import Found, Searches
from rlm_rs.orchestrator.subcalls import Fanout, Outcome
from rlm_rs.sandbox.protocol import SubcallRequest, SubcallResult, View

LOOK_SECONDS = 0.25


async def run_search(fanout: Fanout, request: SubcallRequest) -> Outcome:
    """Resolve a `search` sub-call. Raises `SearchNotEnabled`, `SearchNotReady` and `SearchFailed`, for the
    code to read, and `ValidationFailed` for filters that mean nothing."""
    run, ports = fanout.run, fanout.ports
    if ports.search is None or not run.execution.search_enabled:
        raise SearchNotEnabled
    views = _filtered(fanout.corpus, run.execution.views, request.filters)
    try:
        found = await _find(fanout, request, views, ports.search)
    except SearchNotReady:
        await _made_ready(fanout.corpus, ports, ports.search)
        found = await _find(fanout, request, views, ports.search)
    hits = found.hits if request.called else _placed(found.hits, run.execution.views)
    meta = {"cache_hit": found.cache_hit, "engine": ports.search.index.name}
    return Outcome(
        SubcallResult(request.key, request.digest(), "resolved", hits=hits, meta=meta),
        Spend(searches=1),
        cache_hit=found.cache_hit,
        cached_at=found.uri,
    )


async def _find(
    fanout: Fanout, request: SubcallRequest, views: Sequence[View] | None, searches: Searches
) -> Found:
    async with fanout.ports.slots:
        return await searches.find(fanout.corpus, request.prompt, request.k, views)


async def _made_ready(corpus: Corpus, ports: Ports, searches: Searches) -> None:
    """Build the index, or wait for the worker that does."""
    readable = [document for document in corpus.documents if document.readable]
    once_indexed = all(document.ingest_status == IngestStatus.INDEXED for document in readable)
    if ports.index_on_demand:
        await index_documents(corpus, ports)
    elif once_indexed:
        # it was lost, or is of another release
        await searches.build(corpus)
    else:
        await _built_elsewhere(corpus, ports, searches)


async def _built_elsewhere(corpus: Corpus, ports: Ports, searches: Searches) -> None:
    until = time.monotonic() + ports.index_wait_seconds
    while not await searches.index.is_built(corpus):
        session = await ports.catalog.get_session(corpus.tenant_id, corpus.session_id)
        if session is not None and SEARCH_FAILURE in session.options:
            raise SearchFailed(reason=str(session.options[SEARCH_FAILURE]))
        if time.monotonic() >= until:
            raise SearchNotReady
        await asyncio.sleep(LOOK_SECONDS)


def _filtered(
    corpus: Corpus, views: tuple[View, ...] | None, filters: Mapping[str, Any] | None
) -> tuple[View, ...] | None:
    """The views that a search looks into. `doc_ids` are ids or names of documents."""
    unknown = sorted((filters or {}).keys() - {"doc_ids"})
    if unknown:
        raise ValidationFailed(reason=f'filters is {{"doc_ids": […]}}; it has no {unknown[0]!r}')
    wanted = (filters or {}).get("doc_ids")
    if wanted is None:
        return views
    named = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(named, Sequence) or not all(isinstance(name, str) for name in named):
        raise ValidationFailed(reason='filters["doc_ids"] is a list of doc.doc_id')
    places = {name: d.doc_index for d in corpus.documents for name in (d.source_name, d.doc_id)}
    strange = [name for name in named if name not in places]
    if strange:
        raise ValidationFailed(reason=f"no document has the doc_id {strange[0][:200]!r}; see doc.doc_id")
    chosen = {places[name] for name in named}
    if views is None:
        return tuple(View(doc_index) for doc_index in sorted(chosen))
    return tuple(view for view in views if view.doc_index in chosen)


def _placed(hits: Sequence[dict[str, Any]], views: tuple[View, ...] | None) -> tuple[dict[str, Any], ...]:
    """Hits by place in `context`, as step code finds them in its state. Those of calls are placed there."""
    if views is None:
        return tuple(hits)
    return tuple(_by_place(hit, views) for hit in hits)


def _by_place(hit: dict[str, Any], views: tuple[View, ...]) -> dict[str, Any]:
    for position, view in enumerate(views):
        end = hit["end_char"] if view.end_char is None else view.end_char
        if view.doc_index == hit["doc_index"] and view.start_char <= hit["start_char"] < end:
            moved = {name: hit[name] - view.start_char for name in ("start_char", "end_char")}
            return {**hit, "doc_index": position, **moved}
    raise ValueError("a hit lies in one of the views that were searched")
