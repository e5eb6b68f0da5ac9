"""Pages drop and repeat nothing; the same request twice is done once; what changes something is audited."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from api_server import Running, code_of, running, session, start, until, upload
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from rlm_rs.api.gate import Gate
from rlm_rs.api.parts import Parts
from rlm_rs.core.errors import Fenced
from rlm_rs.telemetry.metrics import Metrics


def walked(client: httpx2.Client, path: str, name: str, limit: int, **filters: Any) -> list[dict[str, Any]]:
    """All rows of a list, page by page."""
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        params = {"limit": limit, **filters, **({"cursor": cursor} if cursor else {})}
        page = client.get(path, params=params).json()
        assert len(page[name]) <= limit
        rows += page[name]
        cursor = page["next_cursor"]
        if cursor is None:
            return rows


def test_pages_drop_and_repeat_nothing_while_rows_are_added(server: Running) -> None:
    with server.client("pages") as client:
        session_id = session(client)
        before = [start(client, session_id, f"Question {n}?") for n in range(7)]
        first = client.get("/v1/executions", params={"limit": 3}).json()
        added = start(client, session_id, "Another?")
        found = [row["execution_id"] for row in first["executions"]]
        cursor = first["next_cursor"]
        while cursor:
            page = client.get("/v1/executions", params={"limit": 3, "cursor": cursor}).json()
            found += [row["execution_id"] for row in page["executions"]]
            cursor = page["next_cursor"]
        assert found == before[::-1]
        everything = walked(client, "/v1/executions", "executions", 3)
        assert [row["execution_id"] for row in everything] == [added, *before[::-1]]


def test_lists_are_filtered(server: Running) -> None:
    with server.client("filters") as client:
        one, two = session(client), session(client)
        asked = start(client, one)
        driven = client.post(f"/v1/sessions/{two}/executions/runtime").json()["execution_id"]

        def ids(**filters: str) -> list[str]:
            return [
                row["execution_id"] for row in walked(client, "/v1/executions", "executions", 5, **filters)
            ]

        assert ids(session_id=one) == [asked]
        assert ids(mode="RUNTIME") == [driven]
        assert ids(mode="RUNTIME", session_id=one) == []
        assert driven in ids(status="RUNNING")
        assert {row["session_id"] for row in walked(client, "/v1/sessions", "sessions", 1)} == {one, two}


def test_a_session_in_a_list_has_the_names_it_always_had(server: Running) -> None:
    with server.client("rows") as client:
        session_id = session(client)
        row = client.get("/v1/sessions").json()["sessions"][0]
        assert (row["id"], row["session_id"], row["tenant_id"]) == (session_id, session_id, "rows")
        assert (row["readiness_mode"], row["ttl_seconds"]) == ("LAX", 3600)


def test_the_same_request_is_done_once(server: Running) -> None:
    with server.client("once") as client:
        session_id = session(client)
        path, headers = f"/v1/sessions/{session_id}/executions", {"Idempotency-Key": "abc"}

        def ask(question: str) -> httpx2.Response:
            return client.post(path, json={"question": question}, headers=headers)

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(ask, ["What?"] * 4))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["execution_id"] for answer in answers}) == 1
        assert sorted(answer.headers.get("Idempotent-Replayed", "") for answer in answers) == [
            "",
            *["true"] * 3,
        ]
        assert len(walked(client, "/v1/executions", "executions", 10)) == 1
        other = ask("Something else?")
        assert (other.status_code, code_of(other)) == (409, "IDEMPOTENCY_CONFLICT")


def test_what_changes_something_is_audited_and_what_reads_is_not(server: Running) -> None:
    with server.client("audited") as client:
        upload(client)
        client.get("/v1/sessions")
        client.post("/v1/citations/verify", json={})
        refused = client.post("/v1/sessions", json={"ttl_minutes": 0})
        entries = client.get("/v1/audit").json()["entries"]
        assert [(e["method"], e["path"], e["status"]) for e in entries] == [
            ("POST", "/v1/sessions", 422),
            ("POST", "/v1/uploads", 201),
        ]
        assert entries[0]["request_id"] == refused.headers["X-Request-ID"]


def audited(client: httpx2.Client) -> list[tuple[str, int]]:
    return [(entry["path"], entry["status"]) for entry in client.get("/v1/audit").json()["entries"]]


def test_an_upload_that_ends_in_the_middle_is_audited(tmp_path: Path) -> None:
    with running(tmp_path, llm_provider="fake") as server, server.client() as client:
        place = urlsplit(server.url)
        head = f"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nAuthorization: {client.headers['Authorization']}\r\n"
        with socket.create_connection((place.hostname or "", place.port or 0)) as line:
            line.sendall(f"{head}Content-Length: 1000\r\n\r\nthe beginning".encode())
        until(lambda: audited(client) == [("/v1/uploads", 499)])


def test_a_body_over_the_limit_is_audited_as_that(tmp_path: Path) -> None:
    small = running(tmp_path, llm_provider="fake", request_size_limit_bytes=100)
    with small as server, server.client() as client:
        sent = client.post("/v1/sessions", content=iter([b"{", b" " * 200]))
        assert sent.status_code == 413
        assert audited(client) == [("/v1/sessions", 413)]


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("unexpected"), 500), (Fenced(execution_id="exec_1"), 409), (ClientDisconnect(), 499)],
)
def test_a_request_that_ends_without_an_answer_is_audited(
    server: Running, error: Exception, status: int
) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    async def silent(*_: Any) -> Any:
        raise AssertionError("nothing is read and nothing is sent")

    with server.client(f"broken-{status}") as client:
        parts = Parts(server.wiring, server.wiring.service(), Metrics())
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/sessions",
            "headers": [(b"authorization", client.headers["Authorization"].encode())],
            "app": SimpleNamespace(state=SimpleNamespace(parts=parts)),
        }
        with pytest.raises(type(error)):
            server.wait(Gate(broken)(scope, silent, silent))
        assert audited(client) == [("/v1/sessions", status)]
