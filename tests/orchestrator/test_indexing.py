"""From parsed to indexed: readiness, crashes, failures that lose nothing, and removal."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from serving import MINE, Serving, serving
from stage import BUCKET, step

from rlm_rs.core.corpus import Corpus, Failure
from rlm_rs.core.errors import SearchFailed, SessionNotFound, SessionNotReady, ValidationFailed
from rlm_rs.core.records import SessionStatus, WorkKind
from rlm_rs.orchestrator.executions import NewExecution, go_on, submit
from rlm_rs.orchestrator.lifecycle import (
    NewDocument,
    NewSession,
    SessionView,
    create_session,
    delete_session,
    expire_sessions,
    fail_session,
    ingest_session,
    ready_session,
    session_view,
)
from rlm_rs.orchestrator.searches import Searches
from rlm_rs.orchestrator.worker import Worker, WorkerLimits
from rlm_rs.search.embedded import EmbeddedIndex
from rlm_rs.testing.models import ScriptedModel

TEXTS = ("The rent is due monthly.", "The notice is six months.")
FIND = step("hit = search('notice')[0]; d = context[hit['doc_index']]; FINAL(d[hit['start_char']:10])")


class WatchedIndex(EmbeddedIndex):
    """Fails as often as it is told, waits at a gate, and says when it is asked to build."""

    failures = 0
    builds = 0
    gate: asyncio.Event | None = None
    begun: asyncio.Event | None = None

    async def build(self, corpus: Corpus) -> None:
        self.builds += 1
        if self.begun:
            self.begun.set()
        if self.gate:
            await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise SearchFailed(reason="the disk is full")
        await super().build(corpus)


@pytest.fixture
def served(tmp_path: Path) -> Serving:
    return serving(tmp_path, ScriptedModel([FIND] * 5))


@pytest.fixture
def index(served: Serving, tmp_path: Path) -> WatchedIndex:
    """The search engine of the service."""
    index = WatchedIndex(served.blobs, BUCKET, tmp_path / "indexes")
    ports = served.service.ports
    searches = Searches(index, served.blobs, ports.texts, BUCKET)
    ports = replace(ports, search=searches, index_on_demand=False, index_wait_seconds=0.2)
    served.service = replace(served.service, ports=ports)
    return index


async def created(served: Serving, **options: Any) -> str:
    docs = [NewDocument(f"{n}.txt", await served.upload(text)) for n, text in enumerate(TEXTS)]
    view = await create_session(MINE, NewSession(tuple(docs), **options), served.service)
    return view.session.session_id


async def seen(served: Serving, session_id: str) -> tuple[SessionView, set[str]]:
    view = await session_view(MINE, session_id, served.service)
    return view, {str(document.ingest_status) for document in view.documents}


async def ingest_until_indexing(served: Serving, session_id: str, index: WatchedIndex) -> asyncio.Task[None]:
    """A worker at work, the index begun."""
    index.gate, index.begun = asyncio.Event(), asyncio.Event()
    task = asyncio.ensure_future(ingest_session(MINE, session_id, served.service))
    await index.begun.wait()
    return task


async def test_a_lax_session_is_ready_once_parsed_and_indexed_later(
    served: Serving, index: WatchedIndex
) -> None:
    session_id = await created(served, enable_search=True)
    task = await ingest_until_indexing(served, session_id, index)
    view, statuses = await seen(served, session_id)
    assert (view.ready, view.parsed_ready, view.search_ready) == (True, True, False)
    assert statuses == {"INDEXING"}
    assert index.gate
    index.gate.set()
    await task
    view, statuses = await seen(served, session_id)
    assert (view.ready, view.parsed_ready, view.search_ready) == (True, True, True)
    assert statuses == {"INDEXED"}


async def test_a_strict_session_is_ready_once_indexed(served: Serving, index: WatchedIndex) -> None:
    session_id = await created(served, enable_search=True, readiness_mode="STRICT")
    task = await ingest_until_indexing(served, session_id, index)
    view, _ = await seen(served, session_id)
    assert (view.ready, view.parsed_ready, view.search_ready) == (False, True, False)
    with pytest.raises(SessionNotReady, match="search index is still being built"):
        await ready_session(MINE, session_id, served.service)
    assert index.gate
    index.gate.set()
    await task
    view, _ = await seen(served, session_id)
    assert (view.ready, view.parsed_ready, view.search_ready) == (True, True, True)


async def test_an_execution_of_an_indexed_session_searches(served: Serving, index: WatchedIndex) -> None:
    session_id = await created(served, enable_search=True)
    await ingest_session(MINE, session_id, served.service)
    run = await submit(MINE, session_id, NewExecution("What?"), served.service)
    run, _ = await go_on(MINE, run.execution.execution_id, served.service.ports)
    assert run.finished
    assert run.finished.answer == TEXTS[1][:10]
    assert (run.spend.searches, index.builds) == (1, 1)


@pytest.mark.parametrize("wish", [None, True, False])
@pytest.mark.parametrize("default", [True, False])
async def test_a_session_that_does_not_say_so_is_indexed_as_configured(
    served: Serving, index: WatchedIndex, wish: bool | None, default: bool
) -> None:
    served.service = replace(served.service, enable_search=default)
    session_id = await created(served, enable_search=wish)
    await ingest_session(MINE, session_id, served.service)
    wanted = default if wish is None else wish
    assert (await seen(served, session_id))[0].search_ready is wanted
    run = await submit(MINE, session_id, NewExecution("What?"), served.service)
    assert run.execution.search_enabled is wanted


async def test_a_service_without_an_engine_refuses_what_it_cannot_do(served: Serving) -> None:
    with pytest.raises(ValidationFailed, match="rlm-rs\\[search\\]"):
        await created(served, enable_search=True)


@pytest.mark.parametrize("mode", ["LAX", "STRICT"])
async def test_a_worker_that_died_while_indexing_is_followed_by_one_that_goes_on(
    served: Serving, index: WatchedIndex, mode: str
) -> None:
    session_id = await created(served, enable_search=True, readiness_mode=mode)
    task = await ingest_until_indexing(served, session_id, index)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    index.gate = None
    await ingest_session(MINE, session_id, served.service)
    await ingest_session(MINE, session_id, served.service)
    view, statuses = await seen(served, session_id)
    assert view.ready
    assert statuses == {"INDEXED"}
    assert sorted(served.parser.parsed) == ["0.txt", "1.txt"]
    assert index.builds == 2


@pytest.mark.parametrize("mode", ["LAX", "STRICT"])
async def test_an_index_that_fails_for_a_while_is_tried_again(
    served: Serving, index: WatchedIndex, mode: str
) -> None:
    index.failures = 2
    session_id = await created(served, enable_search=True, readiness_mode=mode)
    await worked(served, until=lambda view: view.search_ready, session_id=session_id)
    assert index.builds == 3


@pytest.mark.parametrize("mode", ["LAX", "STRICT"])
async def test_an_index_that_is_given_up_loses_no_document(
    served: Serving, index: WatchedIndex, mode: str
) -> None:
    index.failures = 1_000
    session_id = await created(served, enable_search=True, readiness_mode=mode)
    await worked(served, until=lambda view: "search_failure" in view.session.options, session_id=session_id)
    view, statuses = await seen(served, session_id)
    assert (view.ready, view.parsed_ready, view.search_ready) == (True, True, False)
    assert statuses == {"PARSED"}
    assert "disk is full" in str(view.session.options["search_failure"])
    run = await submit(MINE, session_id, NewExecution("What?"), served.service)
    run, _ = await go_on(MINE, run.execution.execution_id, served.service.ports)
    error = run.turns[0].step and run.turns[0].step.error
    assert error
    assert "disk is full" in error.message


async def worked(served: Serving, until: Any, session_id: str) -> None:
    """A worker at work until a session is so."""
    limits = WorkerLimits(poll=0.01, backoff=0.001, max_backoff=0.005, lease=0.2, max_attempts=1, drain=0)
    stop = asyncio.Event()
    work = asyncio.ensure_future(Worker(served.service, [WorkKind.INGESTION], limits=limits).run(stop))
    try:
        async with asyncio.timeout(20):
            while not until(await session_view(MINE, session_id, served.service)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        stop.set()
        await work


async def test_documents_that_were_given_up_leave_the_rest_to_be_indexed(
    served: Serving, index: WatchedIndex
) -> None:
    session_id = await created(served, enable_search=True)
    rows = await served.service.ports.catalog.list_documents(MINE, session_id)
    await served.blobs.delete(rows[0].document.raw_s3_uri or "")
    await ingest_session(MINE, session_id, served.service)
    view, statuses = await seen(served, session_id)
    assert statuses == {"FAILED", "INDEXED"}
    assert view.search_ready


async def test_giving_up_a_parser_that_is_away_and_an_index_that_fails_leaves_a_session_that_says_so(
    served: Serving, index: WatchedIndex
) -> None:
    index.failures = 1_000
    session_id = await created(served, enable_search=True)
    await fail_session(MINE, session_id, Failure("PARSER_UNAVAILABLE", "away"), served.service)
    view, statuses = await seen(served, session_id)
    assert view.session.status == SessionStatus.FAILED
    assert statuses == {"FAILED"}
    assert index.builds == 0


async def test_a_removed_session_takes_its_index_with_it(served: Serving, index: WatchedIndex) -> None:
    session_id = await created(served, enable_search=True)
    await ingest_session(MINE, session_id, served.service)
    run = await submit(MINE, session_id, NewExecution("What?"), served.service)
    await go_on(MINE, run.execution.execution_id, served.service.ports)
    assert any("/search/" in uri for uri in await served.stored("parsed", "cache"))
    await delete_session(MINE, session_id, served.service)
    await ingest_session(MINE, session_id, served.service)
    assert await served.stored() == []


async def test_an_expired_session_takes_its_index_with_it(served: Serving, index: WatchedIndex) -> None:
    import time

    session_id = await created(served, enable_search=True, ttl_minutes=1)
    await ingest_session(MINE, session_id, served.service)
    assert await expire_sessions(time.time() + 61, served.service) == 1
    assert await served.stored() == []


@pytest.mark.parametrize("mode", ["LAX", "STRICT"])
async def test_a_session_deleted_while_it_is_indexed_is_gone(
    served: Serving, index: WatchedIndex, mode: str
) -> None:
    session_id = await created(served, enable_search=True, readiness_mode=mode)
    task = await ingest_until_indexing(served, session_id, index)
    await delete_session(MINE, session_id, served.service)
    await task
    with pytest.raises(SessionNotFound):
        await session_view(MINE, session_id, served.service)
    assert await served.stored() == []
    rows = await served.service.ports.catalog.list_documents(MINE, session_id)
    assert list(rows) == []
