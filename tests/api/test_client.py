"""The clients against a server on a socket: the library's names, results and errors."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest
from api_server import LEASE, Running, running

from rlm_rs import RLM, Answer, AsyncClient, Client, ExecutionFailed, Finished, SpanRef, Started
from rlm_rs.core import errors
from rlm_rs.core.corpus import Document
from rlm_rs.orchestrator.claims import Claim
from rlm_rs.testing.models import ScriptedModel

QUESTION = "How can the lease be ended?"


@pytest.fixture
def leases(tmp_path: Path) -> Path:
    folder = tmp_path / "leases"
    folder.mkdir()
    (folder / "lease.md").write_text(LEASE)
    (folder / "empty.md").write_text("")
    return folder


@pytest.fixture
def key(server: Running) -> str:
    return server.key("acme")


def test_an_ask_gives_what_the_library_gives(server: Running, key: str, leases: Path, tmp_path: Path) -> None:
    with Client(server.url, key) as client, RLM(data_dir=tmp_path / "data") as rlm:
        remote, local = client.ask(QUESTION, leases), rlm.ask(QUESTION, leases)
    assert isinstance(remote, Answer)
    assert (remote.text, remote.status, remote.partial) == (local.text, local.status, local.partial)
    assert [(c.text, c.support, c.page, c.source_name, c.verified) for c in remote.citations] == [
        (c.text, c.support, c.page, c.source_name, c.verified) for c in local.citations
    ]
    assert remote.citations[0].verified
    assert [(d.source_name, d.ingest_status, d.failure) for d in remote.documents] == [
        (d.source_name, d.ingest_status, d.failure) for d in local.documents
    ]
    assert (remote.spend.turns, remote.spend.spans) == (local.spend.turns, local.spend.spans)
    assert remote.to_dict().keys() == local.to_dict().keys()


async def test_a_session_is_asked_often_and_its_events_are_those_of_the_journal(
    server: Running, key: str, leases: Path
) -> None:
    parsed: list[tuple[int, int, str]] = []
    sent: list[tuple[int, int]] = []

    def progress(done: int, total: int, document: Document) -> None:
        parsed.append((done, total, document.source_name))

    async with AsyncClient(server.url, key) as client:
        session = await client.session(
            leases, progress=progress, sent=lambda done, total: sent.append((done, total))
        )
        assert sorted(name for _, _, name in parsed) == ["empty.md", "lease.md"]
        assert parsed[-1][:2] == (2, 2)
        assert sent[-1] == (len(LEASE), len(LEASE))
        items = [item async for item in session.stream(QUESTION)]
        *events, answer = items
        assert isinstance(events[0], Started)
        assert isinstance(events[-1], Finished)
        assert isinstance(answer, Answer)
        assert [event for _, event in await client.events(answer.execution_id)] == events
        again = await (await client.attach(session.session_id)).ask(QUESTION, output_mode="CONTEXTS")
        assert again.text is None
        assert again.contexts[0].text in LEASE
        short = answer.execution_id.removeprefix("exec_")[:12]
        assert await client.find(short) == answer.execution_id
        assert await client.resume(answer.execution_id) == answer
        rows = await client.executions(2)
        assert [row.execution_id for row in rows] == [again.execution_id, answer.execution_id]
        assert rows[0].tenant_id == "acme"
        await session.delete()


def test_citations_are_recomputed_by_the_server(server: Running, key: str, leases: Path) -> None:
    with Client(server.url, key) as client:
        answer = client.ask(QUESTION, leases)
        citation = answer.citations[0]
        assert client.verify(citation.ref).text == citation.text
        forged = SpanRef(**{**_fields(citation.ref), "end_char": citation.ref.end_char - 1})
        assert client.verify(forged).valid is False
        elsewhere = SpanRef(**{**_fields(citation.ref), "session_id": "sess_none"})
        claims = [Claim(citation.ref, "other words"), Claim(citation.ref, citation.text), Claim(elsewhere)]
        checked = client.check_claims(claims)
        assert [one.verification.valid for one in checked] == [False, True, False]
        assert checked[0].verification.reason == "the text quoted is not the text that stands there"


def test_a_file_is_sent_in_pieces_that_are_told_of(server: Running, key: str, tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_bytes(b"long " * 200_000)
    told: list[int] = []
    with Client(server.url, key) as client:
        made = client.upload(file, "long.txt", sent=lambda done, total: told.append(done))
        assert made.byte_length == told[-1] == 1_000_000
        assert len(told) > 2
        assert client.upload(b"short", "short.txt").byte_length == 5
        with pytest.raises(errors.SourceNotFound):
            client.upload(tmp_path / "none.txt", "none.txt")


def test_steps_are_the_clients_own(server: Running, key: str, leases: Path) -> None:
    with Client(server.url, key) as client:
        session = client.session(leases)
        begun = client.create_runtime(session.session_id)
        taken = client.step(begun.execution_id, "tool.queue_llm('k', 'Say yes.')\nprint(len(context))")
        assert (taken.success, taken.stdout) == (True, "2\n")
        answered = client.resolve_tools(begun.execution_id, taken.tool_requests)
        assert answered.statuses == {"k": "resolved"}
        document = client.get_session(session.session_id).docs[1]
        span = client.get_span(session.session_id, document.doc_id, 0, 10)
        assert span.text == LEASE[:10]
        assert client.get_trace(client.ask(QUESTION, leases).execution_id)["schema_version"]
        assert client.delete_session(session.session_id).status == "DELETING"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda c: c.get_session("sess_none"), errors.SessionNotFound),
        (lambda c: c.get_execution("exec_none"), errors.ExecutionNotFound),
        (lambda c: list(c.follow("exec_none")), errors.ExecutionNotFound),
        (lambda c: c.find("none"), errors.ExecutionNotFound),
        (lambda c: c.create_session([{"source_name": "a"}]), errors.ValidationFailed),
        (lambda c: c.begin("sess_none", " "), errors.ValidationFailed),
        (lambda c: c.ask(QUESTION, "no/such/file.md"), errors.SourceNotFound),
    ],
)
def test_errors_are_the_librarys_own(server: Running, key: str, call: Any, error: type[Exception]) -> None:
    with Client(server.url, key) as client, pytest.raises(error) as raised:
        call(client)
    assert type(raised.value) is error


def test_a_key_that_is_not_known_is_unauthorized(server: Running) -> None:
    with Client(server.url, "rlm_key_none") as client, pytest.raises(errors.Unauthorized) as raised:
        client.list_sessions()
    assert raised.value.details["request_id"]


def test_files_of_which_none_can_be_read_are_no_session(server: Running, key: str, tmp_path: Path) -> None:
    (tmp_path / "empty.md").write_text("")
    with Client(server.url, key) as client, pytest.raises(errors.SessionNotReady, match=r"empty\.md"):
        client.session(tmp_path)


async def test_an_execution_that_is_cancelled_has_no_answer(tmp_path: Path, leases: Path) -> None:
    slow = ScriptedModel(["```repl\nFINAL('late')\n```"], latency=60)
    with running(tmp_path / "data", slow) as server:
        async with AsyncClient(server.url, server.key("acme")) as client:
            session = await client.session(leases)
            execution_id = await client.begin(session.session_id, QUESTION)
            waiting = asyncio.ensure_future(client.resume(execution_id))
            stopped = await client.cancel(execution_id)
            assert stopped.status == "CANCELLED"
            with pytest.raises(ExecutionFailed) as failed:
                await waiting
            assert failed.value.result.execution_id == execution_id


def test_the_same_key_makes_one_execution(server: Running, key: str, leases: Path) -> None:
    with Client(server.url, key) as client:
        session_id = client.session(leases).session_id
        first = client.start_execution(session_id, QUESTION, idempotency_key="once-1")
        second = client.start_execution(session_id, QUESTION, idempotency_key="once-1")
        assert first.execution_id == second.execution_id


def test_the_server_and_the_key_come_from_the_settings(
    server: Running, key: str, monkeypatch: pytest.MonkeyPatch, acme: httpx2.Client
) -> None:
    monkeypatch.setenv("RLM_BASE_URL", f"{server.url}/v1/")
    monkeypatch.setenv("RLM_API_KEY", key)
    with Client() as client:
        assert (
            client.list_sessions(1).sessions[0].session_id
            == (acme.get("/v1/sessions", params={"limit": 1}).json()["sessions"][0]["session_id"])
        )


def _fields(ref: SpanRef) -> dict[str, Any]:
    return {name: getattr(ref, name) for name in SpanRef.__slots__}
