"""Sessions of the service: read in once, refused to strangers, and removed without a trace."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from serving import MINE, THEIRS, Serving, serving
from stage import step

from rlm_rs.core.corpus import Failure, IngestStatus
from rlm_rs.core.errors import (
    ParserFailed,
    SessionExpired,
    SessionNotFound,
    SessionNotReady,
    ValidationFailed,
)
from rlm_rs.core.records import SessionStatus, WorkKind
from rlm_rs.orchestrator.executions import NewExecution, go_on, submit
from rlm_rs.orchestrator.lifecycle import (
    NewDocument,
    NewSession,
    create_session,
    delete_session,
    expire_sessions,
    ingest_session,
    list_sessions,
    ready_session,
    session_view,
    store_upload,
)
from rlm_rs.testing.models import ScriptedModel


@pytest.fixture
def served(tmp_path: Path) -> Serving:
    return serving(tmp_path, ScriptedModel([step("FINAL(llm_query(context[0][0:5]))")], "alpha"))


async def test_a_session_is_ready_once_its_documents_are_read_in(served: Serving) -> None:
    docs = (
        NewDocument("a.txt", await served.upload("alpha")),
        NewDocument("b.txt", await served.upload("b")),
    )
    created = await create_session(MINE, NewSession(docs, ttl_minutes=5), served.service)
    assert created.session.status == SessionStatus.CREATING
    assert [d.ingest_status for d in created.documents] == [IngestStatus.REGISTERED] * 2
    assert created.session.expires_at == created.session.created_at + 300
    assert await served.service.work.waiting(WorkKind.INGESTION) == 1
    with pytest.raises(SessionNotReady, match="2 of 2 documents"):
        await ready_session(MINE, created.session.session_id, served.service)
    await ingest_session(MINE, created.session.session_id, served.service)
    view = await session_view(MINE, created.session.session_id, served.service)
    assert (view.ready, view.parsed_ready, view.search_ready) == (True, True, False)
    assert [d.char_length for d in view.documents] == [5, 1]


async def test_a_session_is_ready_with_what_could_be_parsed(served: Serving) -> None:
    view = await served.session("good", b"")
    assert view.ready
    assert view.parsed_ready
    failure = view.documents[1].failure
    assert failure is not None
    assert failure.message


async def test_a_session_of_which_nothing_can_be_read_has_failed_and_says_why(served: Serving) -> None:
    view = await served.session(b"")
    assert view.session.status == SessionStatus.FAILED
    assert not view.parsed_ready
    failure = view.documents[0].failure
    assert failure is not None
    with pytest.raises(SessionNotReady) as refused:
        await ready_session(MINE, view.session.session_id, served.service)
    assert failure.message in refused.value.message


@pytest.mark.parametrize("gone", ["gone.txt", "y" * 300, "a\x01b"])
async def test_a_document_whose_object_is_missing_fails_alone(served: Serving, gone: str) -> None:
    gone = (await served.upload("x")).replace("contract.txt", gone)
    docs = (NewDocument("a.txt", gone), NewDocument("b.txt", await served.upload("b")))
    created = await create_session(MINE, NewSession(docs), served.service)
    await ingest_session(MINE, created.session.session_id, served.service)
    view = await session_view(MINE, created.session.session_id, served.service)
    assert view.ready
    assert view.documents[0].failure is not None
    assert view.documents[0].failure.code == "SOURCE_NOT_FOUND"


async def test_a_document_whose_object_is_not_the_one_named_fails_alone(served: Serving) -> None:
    uri = await served.upload("alpha")
    etag = hashlib.md5(b"alpha", usedforsecurity=False).hexdigest()
    docs = (
        NewDocument("same.txt", uri, raw_s3_etag=f'"{etag}"'),
        NewDocument("other.txt", uri, raw_s3_etag="0" * 32),
        NewDocument("version.txt", uri, raw_s3_version_id="3HL4kqtJlcpXroDTDmJ"),
    )
    created = await create_session(MINE, NewSession(docs), served.service)
    await ingest_session(MINE, created.session.session_id, served.service)
    view = await session_view(MINE, created.session.session_id, served.service)
    assert [document.readable for document in view.documents] == [True, False, False]
    told = [document.failure for document in view.documents[1:]]
    assert [failure and failure.code for failure in told] == ["SOURCE_CHANGED"] * 2
    assert all(failure and "upload it again" in failure.message for failure in told)


async def test_interrupted_ingestion_goes_on_where_it_stopped(served: Serving) -> None:
    class Unreachable:
        left = 1

        async def parse_stored(self, *asked: str) -> Failure:
            if not self.left:
                raise ParserFailed(source_name=asked[1], reason="unreachable")
            self.left -= 1
            return await served.service.parser.parse_stored(*asked)  # type: ignore[return-value]

    docs = tuple([NewDocument(f"{n}.txt", await served.upload(f"text {n}")) for n in range(3)])
    created = await create_session(MINE, NewSession(docs), served.service)
    session_id = created.session.session_id
    with pytest.raises(ParserFailed):
        await ingest_session(MINE, session_id, replace(served.service, parser=Unreachable(), parsing=1))
    assert (await session_view(MINE, session_id, served.service)).session.status == SessionStatus.CREATING
    await ingest_session(MINE, session_id, served.service)
    await ingest_session(MINE, session_id, served.service)
    assert (await session_view(MINE, session_id, served.service)).ready
    assert sorted(served.parser.parsed) == ["0.txt", "1.txt", "2.txt"]


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/raw/tenant-b/1/x.txt",
        "s3://bucket/raw/tenant-a/../tenant-b/1/x.txt",
        "s3://bucket/raw/tenant-a/",
        "s3://bucket/raw/tenant-abc/x.txt",
        "s3://bucket/parsed/tenant-a/s/d/text.txt",
        "s3://other/raw/tenant-a/x.txt",
        "s3://shared/open/",
        "file:///etc/passwd",
        "/etc/passwd",
    ],
)
async def test_documents_outside_the_tenants_own_and_the_import_prefixes_are_refused(
    served: Serving, uri: str
) -> None:
    with pytest.raises(ValidationFailed, match="raw_s3_uri"):
        await create_session(MINE, NewSession((NewDocument("x.txt", uri),)), served.service)
    assert await served.service.work.waiting(WorkKind.INGESTION) == 0


async def test_import_prefixes_are_open_to_all_tenants(served: Serving) -> None:
    await served.blobs.put("s3://shared/open/law.txt", b"The law.")
    docs = (NewDocument("law.txt", "s3://shared/open/law.txt"),)
    view = await create_session(THEIRS, NewSession(docs), served.service)
    await ingest_session(THEIRS, view.session.session_id, served.service)
    assert (await session_view(THEIRS, view.session.session_id, served.service)).ready


@pytest.mark.parametrize(
    "wrong",
    [
        {"docs": ()},
        {"ttl_minutes": 0},
        {"enable_search": True, "readiness_mode": "STRICT"},
        {"budgets_default": {"max_turns": 0}},
        {"budgets_default": {"no_such": 1}},
    ],
)
async def test_a_session_that_could_not_be_kept_to_is_refused(
    served: Serving, wrong: dict[str, object]
) -> None:
    docs = (NewDocument("a.txt", await served.upload("a")),)
    with pytest.raises(ValidationFailed):
        await create_session(MINE, NewSession(**{"docs": docs, **wrong}), served.service)  # type: ignore[arg-type]


async def test_strangers_find_nothing(served: Serving) -> None:
    view = await served.session("mine")
    session_id = view.session.session_id
    for use in (session_view, delete_session, ready_session):
        with pytest.raises(SessionNotFound):
            await use(THEIRS, session_id, served.service)
    assert await list_sessions(THEIRS, 10, None, served.service) == ([], None)
    assert (await session_view(MINE, session_id, served.service)).ready


async def answered(served: Serving, session_id: str) -> str:
    run = await submit(MINE, session_id, NewExecution("What?"), served.service)
    run, _ = await go_on(MINE, run.execution.execution_id, served.service.ports)
    assert run.finished is not None
    assert run.finished.citations
    assert await served.stored("cache")
    return run.execution.execution_id


async def test_a_deleted_session_leaves_nothing_behind(served: Serving) -> None:
    view = await served.session("alpha beta")
    session_id = view.session.session_id
    execution_id = await answered(served, session_id)
    await delete_session(MINE, session_id, served.service)
    await delete_session(MINE, session_id, served.service)
    assert (await session_view(MINE, session_id, served.service)).session.status == SessionStatus.DELETING
    await ingest_session(MINE, session_id, served.service)
    with pytest.raises(SessionNotFound):
        await session_view(MINE, session_id, served.service)
    assert await served.stored() == []
    assert await served.journal.read(execution_id) == []
    assert await served.service.ports.catalog.get_execution(MINE, execution_id) is None


async def test_an_upload_that_another_session_uses_stays(served: Serving) -> None:
    uri = await served.upload("shared text")
    ids = []
    for _ in range(2):
        new = NewSession((NewDocument("a.txt", uri),))
        ids.append((await create_session(MINE, new, served.service)).session.session_id)
        await ingest_session(MINE, ids[-1], served.service)
    for session_id, left in zip(ids, ([uri], []), strict=True):
        await delete_session(MINE, session_id, served.service)
        await ingest_session(MINE, session_id, served.service)
        assert await served.stored("raw") == left


async def test_a_session_whose_time_is_over_says_so_and_holds_nothing(served: Serving) -> None:
    view = await served.session("alpha beta", ttl_minutes=10)
    session_id = view.session.session_id
    execution_id = await answered(served, session_id)
    assert await expire_sessions(time.time() + 60, served.service) == 0
    assert await expire_sessions(time.time() + 601, served.service) == 1
    assert await expire_sessions(time.time() + 601, served.service) == 0
    assert await served.stored() == []
    assert await served.journal.read(execution_id) == []
    rows, _ = await list_sessions(MINE, 10, None, served.service)
    assert [row.status for row in rows] == [SessionStatus.EXPIRED]


async def test_an_expired_session_is_refused_before_it_is_swept(served: Serving) -> None:
    view = await served.session("alpha", ttl_minutes=1)
    past = replace(view.session, expires_at=time.time() - 1)
    assert await served.service.ports.catalog.move_session(past, SessionStatus.READY)
    with pytest.raises(SessionExpired):
        await submit(MINE, past.session_id, NewExecution("What?"), served.service)
    rows, _ = await list_sessions(MINE, 10, None, served.service)
    assert rows[0].status == SessionStatus.EXPIRED


async def test_a_session_deleted_while_it_is_read_in_does_not_come_back(served: Serving) -> None:
    class Deleting:
        async def parse_stored(self, *asked: str) -> Failure:
            await delete_session(MINE, session_id, served.service)
            return await served.service.parser.parse_stored(*asked)  # type: ignore[return-value]

    docs = tuple([NewDocument(f"{n}.txt", await served.upload(f"text {n}")) for n in range(3)])
    session_id = (await create_session(MINE, NewSession(docs), served.service)).session.session_id
    await ingest_session(MINE, session_id, replace(served.service, parser=Deleting(), parsing=1))
    with pytest.raises(SessionNotFound):
        await session_view(MINE, session_id, served.service)
    assert await served.stored("raw", "parsed") == []
    assert served.parser.parsed == ["0.txt"]


async def test_a_lost_deletion_is_found_by_the_sweep(served: Serving) -> None:
    view = await served.session("alpha")
    await delete_session(MINE, view.session.session_id, served.service)
    assert await expire_sessions(time.time(), served.service) == 1
    with pytest.raises(SessionNotFound):
        await session_view(MINE, view.session.session_id, served.service)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("c:\\x\\y.docx", "y.docx"),
        ("..", "document"),
        ("ü" * 300 + ".txt", ".txt"),
        ("a\x00b#1", "a_b_1"),
    ],
)
async def test_uploads_lie_under_the_tenant_whatever_they_are_called(
    served: Serving, name: str, kept: str
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for part in (b"al", b"", b"pha"):
            yield part

    stored = await store_upload(MINE, name, chunks(), served.service)
    assert stored.raw_s3_uri.startswith("s3://bucket/raw/tenant-a/")
    assert stored.raw_s3_uri.endswith(kept)
    assert stored.byte_length == 5
    assert stored.checksum == "sha256:8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8"
    assert await served.blobs.get(stored.raw_s3_uri) == b"alpha"
    assert list(served.service.spool.iterdir()) == []
