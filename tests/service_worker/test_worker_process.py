"""Workers as processes: killed at any moment, nothing is lost, doubled, or paid again."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from programs import Start, Started

from collector import collecting
from rlm_rs.core.execution import RootReplied, Run
from rlm_rs.core.records import ExecutionStatus, WorkKind
from rlm_rs.orchestrator.executions import NewExecution, submit, wait
from rlm_rs.orchestrator.lifecycle import NewDocument, NewSession, create_session, session_view, store_upload
from rlm_rs.orchestrator.ports import Service
from rlm_rs.settings import load_settings
from rlm_rs.testing.openai_script import Prompt, ServedReply
from rlm_rs.testing.openai_server import OpenAITestServer
from rlm_rs.wiring import Wiring, wire

pytestmark = pytest.mark.timeout(100)

ROOT = Path(__file__).resolve().parents[2]
TENANT = "tenant-a"
TEXT = "The notice period is ninety days. The rent is due monthly."
EXECUTIONS = 8
STEPS = ("x = context[0][4:17]", "r = llm_query('Sub {n}: ' + x)", "FINAL(x + r)")


def number_of(prompt: Prompt) -> int:
    found = re.search(r"(?:Number|Sub) (\d+)", prompt.text)
    assert found
    return int(found[1])


def reply(prompt: Prompt) -> ServedReply:
    n = number_of(prompt)
    if prompt.model == "sub":
        return ServedReply(f" {n}", latency=0.1)
    return ServedReply(f"```repl\n{STEPS[prompt.turn].format(n=n)}\n```", latency=0.15)


@asynccontextmanager
async def api(directory: Path, base_url: str) -> AsyncIterator[tuple[Wiring, dict[str, str]]]:
    """What an API process has, and the environment of its workers."""
    env = {
        "RLM_DATA_DIR": str(directory),
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": base_url,
        "DEFAULT_ROOT_MODEL": "root",
        "DEFAULT_SUB_MODEL": "sub",
        "WORKER_LEASE_SECONDS": "1",
        "WORKER_POLL_INTERVAL_SECONDS": "0.1",
        "WORKER_CONCURRENCY": "4",
    }
    named = {name.lower(): value for name, value in env.items()}
    wiring = wire(load_settings(**{**named, "rlm_data_dir": directory}))
    try:
        yield wiring, env
    finally:
        await wiring.close()


async def one_chunk(text: str) -> AsyncIterator[bytes]:
    yield text.encode()


async def ready_session(service: Service) -> str:
    """A session, once some worker process has read it in."""
    uri = (await store_upload(TENANT, "lease.txt", one_chunk(TEXT), service)).raw_s3_uri
    new = NewSession((NewDocument("lease.txt", uri, "text/plain"),))
    session_id = (await create_session(TENANT, new, service)).session.session_id
    for _ in range(600):
        if (await session_view(TENANT, session_id, service)).ready:
            return session_id
        await asyncio.sleep(0.05)
    raise AssertionError("no worker has read the session in")


async def recorded(ids: list[str], wiring: Wiring) -> list[int]:
    """Root replies that each journal has."""
    journals = [await wiring.ports.log.events(TENANT, execution_id) for execution_id in ids]
    return [sum(isinstance(event, RootReplied) for _, event in events) for events in journals]


async def killed(worker: Started) -> None:
    worker.kill()
    await asyncio.to_thread(worker.wait, 10)


async def test_killed_workers_lose_and_repay_nothing(tmp_path: Path, start: Start) -> None:
    seen: list[tuple[int, int]] = []

    def noted(prompt: Prompt) -> ServedReply:
        if prompt.model == "root":
            seen.append((number_of(prompt), prompt.turn))
        return reply(prompt)

    async with OpenAITestServer(noted) as server, api(tmp_path / "data", server.base_url) as (wiring, env):
        service = wiring.service()
        worker = start("rlm_rs.worker_entrypoint", env=env)
        session_id = await ready_session(service)
        runs = [
            await submit(TENANT, session_id, NewExecution(f"Number {n}?"), service) for n in range(EXECUTIONS)
        ]
        ids = [run.execution.execution_id for run in runs]
        for enough in (5, 14):
            async with asyncio.timeout(30):
                await server.until(lambda _, enough=enough: len(seen) >= enough)  # type: ignore[misc]
            await killed(worker)
            paid, asked = await recorded(ids, wiring), len(seen)
            worker = start("rlm_rs.worker_entrypoint", env=env)
            async with asyncio.timeout(30):
                await server.until(lambda _, asked=asked: len(seen) > asked)  # type: ignore[misc]
            assert all(turn >= paid[n] for n, turn in seen[asked:])
        ended = [await wait(TENANT, execution_id, 40, service) for execution_id in ids]
        assert await service.work.waiting(WorkKind.EXECUTION) == 0
    check_outcomes(ended)
    rows = [row for row in ended if row.finished]
    assert len(rows) == EXECUTIONS


def check_outcomes(ended: list[Run]) -> None:
    for n, run in enumerate(ended):
        end = run.finished
        assert end is not None
        assert (end.status, end.answer) == (ExecutionStatus.COMPLETED, f"notice period {n}")
        assert [(c.ref.start_char, c.ref.end_char) for c in end.citations] == [(4, 17)]
        assert len(run.turns) == len(STEPS)


async def test_a_worker_told_to_stop_gives_back_what_it_holds(tmp_path: Path, start: Start) -> None:
    def scripted(prompt: Prompt) -> ServedReply:
        return ServedReply(reply(prompt).text, latency=60 if prompt.turn else 0.0)

    async with OpenAITestServer(scripted) as server, api(tmp_path / "data", server.base_url) as (wiring, env):
        service = wiring.service()
        worker = start("rlm_rs.worker_entrypoint", env={**env, "WORKER_DRAIN_SECONDS": "0"})
        session_id = await ready_session(service)
        run = await submit(TENANT, session_id, NewExecution("Number 1?"), service)
        async with asyncio.timeout(30):
            await server.until(lambda requests: len(requests) >= 2)
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 20) == 0
        item = await service.work.claim(WorkKind.EXECUTION, "next", 5)
        assert item is not None
        assert (item.item_id, item.attempts) == (run.execution.execution_id, 1)


async def test_a_worker_told_to_stop_does_not_wait_for_a_parser_that_is_silent(
    tmp_path: Path, start: Start
) -> None:
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read(-1)
        writer.close()

    parser = await asyncio.start_server(silent, "127.0.0.1", 0)
    parser_url = f"http://127.0.0.1:{parser.sockets[0].getsockname()[1]}"
    async with api(tmp_path / "data", "http://127.0.0.1:9") as (wiring, env):
        service = wiring.service()
        env |= {"PARSER_SERVICE_URL": parser_url, "WORKER_DRAIN_SECONDS": "0"}
        worker = start("rlm_rs.worker_entrypoint", env=env)
        uri = (await store_upload(TENANT, "lease.txt", one_chunk(TEXT), service)).raw_s3_uri
        await create_session(TENANT, NewSession((NewDocument("lease.txt", uri, "text/plain"),)), service)
        async with asyncio.timeout(30):
            await asked.wait()
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 20) == 0
    parser.close()


async def test_each_kind_of_worker_does_its_own(tmp_path: Path, start: Start) -> None:
    async with OpenAITestServer(reply) as server, api(tmp_path / "data", server.base_url) as (wiring, env):
        service = wiring.service()
        start("rlm_rs.worker_entrypoint", env={**env, "WORKER_MODE": "ingestion"})
        session_id = await ready_session(service)
        run = await submit(TENANT, session_id, NewExecution("Number 3?"), service)
        await asyncio.sleep(0.5)
        assert (await wait(TENANT, run.execution.execution_id, 0, service)).turns == ()
        start("rlm_rs.worker_entrypoint", env={**env, "WORKER_MODE": "orchestrator"})
        run = await wait(TENANT, run.execution.execution_id, 30, service)
    assert run.finished is not None
    assert run.finished.answer == "notice period 3"


def test_a_wrong_setting_is_one_line(start: Start, tmp_path: Path) -> None:
    worker = start("rlm_rs.worker_entrypoint", env={"WORKER_MODE": "everything"})
    assert worker.stderr is not None
    said = worker.stderr.read().decode().splitlines()
    assert worker.wait(20) == 2
    assert len(said) == 1
    assert "WORKER_MODE" in said[0]


def test_the_manual_flow_works_over_processes_of_their_own(tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "RLM_PROCESSES": "separate",
        "RLM_PYTHON": sys.executable,
    }
    script = [str(ROOT / "scripts/smoke_test.sh")]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "smoke test passed" in done.stdout


def page_at(url: str) -> str:
    with urlopen(url, timeout=10) as response:
        return str(response.read().decode())


async def test_a_worker_shows_its_metrics_and_logs_with_ids_and_adds_to_the_trace(
    tmp_path: Path, start: Start
) -> None:
    async with OpenAITestServer(reply) as server, api(tmp_path / "data", server.base_url) as (wiring, env):
        service = wiring.service()
        with collecting() as collector:
            telling = {
                "METRICS_PORT": "0",
                "ENABLE_OTEL_TRACING": "true",
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            }
            worker = start("rlm_rs.worker_entrypoint", env={**env, **telling})
            session_id = await ready_session(service)
            run = await submit(TENANT, session_id, NewExecution("Number 1?"), service)
            execution_id = run.execution.execution_id
            await wait(TENANT, execution_id, 30, service)
            told = iter(worker.stderr or ())
            first = json.loads(next(told))
            shown = await asyncio.to_thread(page_at, first["metrics"])
            worker.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(worker.wait, 20) == 0
            lines = [json.loads(line) for line in told]
    assert 'rlm_executions_total{status="COMPLETED"} 1.0' in shown
    assert 'rlm_parse_seconds_count{outcome="parsed"} 1.0' in shown
    assert "process_resident_memory_bytes" in shown
    ids = {"tenant_id": TENANT, "session_id": session_id, "execution_id": execution_id}
    recorded = [line for line in lines if line["event"] == "recorded"]
    assert recorded
    assert all({name: line[name] for name in ids} == ids for line in recorded)
    assert [line["turn"] for line in recorded if line["type"] == "RootReplied"] == [0, 1, 2]
    assert TEXT[4:17] not in json.dumps(lines)
    assert "Number 1" not in json.dumps(lines)
    whole = collector.named("invoke_agent rlm")
    assert [span.attributes["rlm.execution.id"] for span in whole] == [execution_id]
    assert len(collector.named("chat root")) == 3
