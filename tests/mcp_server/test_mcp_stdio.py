"""`rlm mcp` as a process, driven by the official client over its standard input and output."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mcp import Client
from mcp_calling import LEASE, QUESTION, given, program, refused

from rlm_rs import RLM
from rlm_rs.orchestrator.executions import wait
from rlm_rs.testing.openai_script import ServedReply
from rlm_rs.testing.openai_server import OpenAITestServer


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_session_is_made_asked_waited_for_and_verified(
    tmp_path: Path, leases: Path, mode: str
) -> None:
    told: list[str | None] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with Client(program(tmp_path / "data", leases), mode=mode) as client:
        await client.list_tools()
        made = given(await client.call_tool("rlm_create_session", {"paths": ["lease.md"]}))
        asking = {"question": QUESTION, "session_id": made["session_id"], "wait_seconds": 40}
        asked = given(await client.call_tool("ask", asking, progress_callback=progress))
        waiting = {"execution_id": asked["execution_id"], "request": {"timeout_seconds": 10}}
        ended = given(await client.call_tool("rlm_wait_execution", waiting))
        checked = given(
            await client.call_tool("rlm_verify_citation", {"request": {"ref": ended["citations"][0]}})
        )
        unknown = refused(await client.call_tool("rlm_get_session", {"session_id": "sess_none"}))
    assert ended["status"] == "COMPLETED"
    assert ended["answer"] == asked["answer"]
    assert checked["valid"]
    assert "six months' written notice" in checked["text"]
    turns = {message.partition(":")[0] for message in told if message and message.startswith("turn ")}
    assert turns == {f"turn {number + 1}" for number in range(asked["turns"])}
    assert "SESSION_NOT_FOUND" in unknown


async def test_a_call_the_client_cancels_ends_its_execution(tmp_path: Path, leases: Path) -> None:
    begun = asyncio.Event()

    async def progress(done: float, total: float | None, message: str | None) -> None:
        if message == "asking the root model":
            begun.set()

    async with OpenAITestServer([ServedReply("never", latency=600)]) as model:
        env = {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "any", "DEFAULT_ROOT_MODEL": "gpt-5"}
        async with Client(program(tmp_path / "data", leases, **env), mode="legacy") as client:
            wanted = {"question": QUESTION, "paths": ["lease.md"]}
            call = asyncio.ensure_future(client.call_tool("ask", wanted, progress_callback=progress))
            await begun.wait()
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            async with RLM(data_dir=tmp_path / "data") as rlm:
                (row,) = await rlm.aexecutions()
                service = rlm.wiring.service()
                found = await wait("local", row.execution_id, 30, service)
    assert found.finished is not None
    assert found.finished.status == "CANCELLED"


def test_nothing_but_the_protocol_is_on_standard_output(tmp_path: Path) -> None:
    (tmp_path / "lease.md").write_text(LEASE)
    params = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    }
    asking = {"name": "ask", "arguments": {"question": QUESTION, "paths": ["lease.md"]}}
    process = _started(tmp_path)
    assert process.stdin is not None
    assert process.stdout is not None
    for number, method, given_params in ((1, "initialize", params), (2, "tools/call", asking)):
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": given_params}
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
        reply = json.loads(process.stdout.readline())
        assert (reply["jsonrpc"], reply["id"]) == ("2.0", number)
        assert not reply["result"].get("isError")
    process.stdin.write("this is not the protocol\n")
    rest, _ = process.communicate()
    assert process.returncode == 0
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in rest.splitlines())


def test_a_signal_ends_it_at_once(tmp_path: Path) -> None:
    process = _started(tmp_path)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write('{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.wait()
    assert process.returncode == 130
    process.communicate()


def _started(folder: Path) -> subprocess.Popen[str]:
    wanted = program(folder / "data", folder)
    assert wanted.command == sys.executable
    return subprocess.Popen(
        [wanted.command, *wanted.args],
        env=wanted.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
