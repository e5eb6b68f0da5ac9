"""`/mcp` of the API's application: the official client with the API's keys, and the engine of a URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from api_server import LEASE, Running, code_of, ended, running, session
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

from rlm_rs.mcp.engines import engine_of
from rlm_rs.mcp.host import Files, Host
from rlm_rs.mcp.roots import Roots
from rlm_rs.mcp.server import build
from rlm_rs.settings import Settings
from rlm_rs.testing.models import ScriptedModel

QUESTION = "How can the lease be ended for convenience?"
MODES = ["auto", "legacy"]


@asynccontextmanager
async def connected(url: str, key: str, **options: Any) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), **options) as client,
    ):
        yield client


def given(result: CallToolResult) -> dict[str, Any]:
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


def words(result: CallToolResult) -> str:
    assert result.is_error, result.structured_content
    return str(result.content[0].text)  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", MODES)
async def test_a_session_is_asked_waited_for_and_verified(
    server: Running, acme: httpx2.Client, mode: str
) -> None:
    session_id = await asyncio.to_thread(session, acme)
    told: list[str | None] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with connected(server.url, server.key("acme"), mode=mode) as client:
        await client.list_tools()
        asking = {"question": QUESTION, "session_id": session_id}
        asked = given(await client.call_tool("ask", asking, progress_callback=progress))
        waiting = {"execution_id": asked["execution_id"]}
        execution = given(await client.call_tool("rlm_wait_execution", waiting))
        (citation,) = execution["citations"]
        checked = given(await client.call_tool("rlm_verify_citation", {"request": {"ref": citation}}))
        document = f"rlm://sessions/{session_id}/documents/{citation['doc_id']}"
        text = (await client.read_resource(document)).contents[0].text  # type: ignore[union-attr]
    assert "six months' written notice" in asked["answer"]
    assert checked["valid"]
    assert text == LEASE
    turns = {message.partition(":")[0] for message in told if message and message.startswith("turn ")}
    assert turns == {f"turn {number + 1}" for number in range(asked["turns"])}


async def test_a_call_whose_client_leaves_is_cancelled(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def progress(done: float, total: float | None, message: str | None) -> None:
        if message == "asking the root model":
            begun.set()

    def served() -> Any:
        return running(tmp_path, ScriptedModel(root=["never"], latency=600))

    with served() as server, server.client() as http:
        session_id = await asyncio.to_thread(session, http)
        async with connected(server.url, server.key("acme")) as client:
            asking = {"question": QUESTION, "session_id": session_id}
            call = asyncio.ensure_future(client.call_tool("ask", asking, progress_callback=progress))
            await begun.wait()
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            execution_id = http.get("/v1/executions").json()["executions"][0]["execution_id"]
            assert (await asyncio.to_thread(ended, http, execution_id))["status"] == "CANCELLED"


async def test_a_handle_and_a_cancellation_by_name(tmp_path: Path) -> None:
    with running(tmp_path, ScriptedModel(root=["never"], latency=600)) as server, server.client() as http:
        session_id = await asyncio.to_thread(session, http)
        async with connected(server.url, server.key("acme")) as client:
            asking = {"question": QUESTION, "session_id": session_id, "wait_seconds": 0.2}
            handle = given(await client.call_tool("ask", asking))
            assert handle["status"] == "RUNNING"
            named = {"execution_id": handle["execution_id"]}
            stopped = given(await client.call_tool("rlm_cancel_execution", named))
            assert stopped["status"] == "CANCELLED"


async def test_keys_tenants_and_scopes_are_those_of_the_api(
    server: Running, acme: httpx2.Client, globex: httpx2.Client
) -> None:
    session_id = await asyncio.to_thread(session, acme)
    for headers in ({}, {"Authorization": "Bearer rlm_key_wrong"}):
        refused = httpx2.post(f"{server.url}/mcp", json={}, headers=headers)
        assert (refused.status_code, code_of(refused)) == (401, "UNAUTHORIZED")
    async with connected(server.url, server.key("globex")) as stranger:
        told = words(await stranger.call_tool("rlm_get_session", {"session_id": session_id}))
        assert "SESSION_NOT_FOUND" in told
    async with connected(server.url, server.key("acme", "read")) as reader:
        assert given(await reader.call_tool("rlm_get_session", {"session_id": session_id}))["docs_total"] == 1
        asking = {"question": QUESTION, "session_id": session_id}
        assert "FORBIDDEN" in words(await reader.call_tool("ask", asking))
        assert "FORBIDDEN" in words(await reader.call_tool("rlm_delete_session", {"session_id": session_id}))


async def test_tools_that_change_something_are_audited_by_name(server: Running) -> None:
    async with connected(server.url, server.key("initech")) as client:
        await client.list_tools()
        await client.call_tool("rlm_get_session", {"session_id": "sess_none"})
        await client.call_tool("rlm_delete_session", {"session_id": "sess_none"})
    with server.client("initech") as http:
        entries = await asyncio.to_thread(lambda: http.get("/v1/audit").json()["entries"])
    assert [(entry["path"], entry["status"]) for entry in entries] == [("/mcp/rlm_delete_session", 400)]


async def test_no_file_of_the_server_is_read(server: Running, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    async with connected(server.url, server.key("acme")) as client:
        for tool, more in (("ask", {"question": QUESTION}), ("rlm_create_session", {})):
            told = words(await client.call_tool(tool, {"paths": [str(tmp_path)], **more}))
            assert "reads no local files" in told
            assert "/v1/uploads" in told


async def test_a_body_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, llm_provider="fake", request_size_limit_bytes=2_000) as server:
        headers = {"Authorization": f"Bearer {server.key('acme')}"}
        refused = await asyncio.to_thread(
            lambda: httpx2.post(f"{server.url}/mcp", content=b"x" * 3_000, headers=headers)
        )
        assert (refused.status_code, code_of(refused)) == (413, "REQUEST_TOO_LARGE")


async def test_the_tools_of_a_process_use_the_engine_of_a_url(server: Running, tmp_path: Path) -> None:
    (tmp_path / "lease.md").write_text(LEASE)
    settings = Settings(rlm_base_url=server.url, rlm_api_key=server.key("acme"))  # type: ignore[arg-type]
    told: list[str | None] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with engine_of(settings) as (engine, spool):
        host = Host(lambda request, scope: engine, Files(Roots.of([tmp_path]).folders, spool))
        async with Client(build(host)) as client:
            asking = {"question": QUESTION, "paths": ["lease.md"]}
            asked = given(await client.call_tool("ask", asking, progress_callback=progress))
            again = given(await client.call_tool("ask", asking))
            named = {"execution_id": asked["execution_id"], "citation": 1}
            assert given(await client.call_tool("rlm_verify_citation", {"request": named}))["valid"]
            assert LEASE[:20] in given(await client.call_tool("read_source", named))["text"]
            begun = given(
                await client.call_tool("rlm_runtime_create_execution", {"session_id": asked["session_id"]})
            )
            step = {"execution_id": begun["execution_id"], "request": {"code": "print(len(context))"}}
            assert given(await client.call_tool("rlm_runtime_step", step))["stdout"] == "1\n"
            gone = {"session_id": asked["session_id"]}
            given(await client.call_tool("rlm_delete_session", gone))
            assert "SESSION_" in words(await client.call_tool("ask", {**gone, "question": QUESTION}))
        assert list(spool.iterdir()) == []
    assert again["session_id"] == asked["session_id"]
    assert "ended: COMPLETED" in told
