"""kill -9 in the middle of fifty executions: nothing is lost, doubled or changed, or paid again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Any, TypeAlias

import httpx2
import pytest
from durable_client import Client, until
from model_calls import DOCUMENTS, SUBCALLS, TURNS, Book, in_cache, in_journals
from service_processes import Processes, url_of

from rlm_rs.settings import load_settings
from rlm_rs.testing.openai_server import OpenAITestServer
from rlm_rs.wiring import wire

pytestmark = pytest.mark.timeout(180)

EXECUTIONS = 50
TENANT = "acme"
API, PARSER, WORKER = "rlm_rs.api.app:app", "rlm_rs.parser.service:app", "rlm_rs.worker_entrypoint"
TEXTS = {
    f"lease_{n}.txt": f"The notice period {n} is {30 * n + 30} days. The rent is due monthly.\n"
    for n in range(DOCUMENTS)
}
MANY = {f"letter_{n:02}.txt": f"Letter {n}: the rent is due.\n" for n in range(40)}
CALLS = EXECUTIONS * (TURNS + SUBCALLS)

Outcome: TypeAlias = tuple[str, str, list[tuple[Any, ...]]]
"""Status, answer and citations, without the ids that differ from one data directory to the next."""


@dataclass
class Scene:
    """A data directory, the model server, and a client of the service over them."""

    folder: Path
    processes: Processes
    server: OpenAITestServer
    book: Book
    client: Client

    async def asked(self, share: float) -> None:
        """Wait until that share of all model calls has been asked."""
        async with asyncio.timeout(60):
            await self.server.until(lambda _: len(self.book.asked) >= share * CALLS)

    async def killed(self, numbers: dict[str, int]) -> None:
        """Note what is kept at this moment, read from the data directory as another process would."""
        wiring = wire(load_settings(rlm_data_dir=self.folder / "data", llm_provider="fake"))
        try:
            log = wiring.ports.log
            journals = [(n, await log.events(TENANT, execution_id)) for execution_id, n in numbers.items()]
        finally:
            await wiring.close()
        self.book.killed({*in_journals(journals), *in_cache(self.folder / "data" / "blobs")})


@asynccontextmanager
async def scene(folder: Path, processes: Processes) -> AsyncIterator[tuple[Scene, socket]]:
    """The scene, without any process of the service yet; and the socket that the API is to answer on."""
    book, listening = Book(), processes.listener()
    async with OpenAITestServer(book) as server:
        processes.settings.update(
            RLM_DATA_DIR=str(folder / "data"),
            OPENAI_API_KEY="sk-test",
            OPENAI_BASE_URL=server.base_url,
            DEFAULT_ROOT_MODEL="root",
            DEFAULT_SUB_MODEL="sub",
            WORKER_LEASE_SECONDS="2",
            WORKER_POLL_INTERVAL_SECONDS="0.1",
            WORKER_CONCURRENCY=str(EXECUTIONS),
        )
        wiring = wire(load_settings(rlm_data_dir=folder / "data", llm_provider="fake"))
        key = await wiring.create_key(TENANT, "test", ("read", "write", "admin"))
        await wiring.close()
        headers = {"Authorization": f"Bearer {key}"}
        limits = httpx2.Limits(max_connections=200)
        async with httpx2.AsyncClient(
            base_url=url_of(listening), headers=headers, timeout=30, limits=limits
        ) as http:
            yield Scene(folder, processes, server, book, Client(http)), listening


async def begun(scene: Scene, session_id: str) -> dict[str, int]:
    """Fifty executions, by their id."""
    await scene.client.ready(session_id)
    starting = (scene.client.start(session_id, f"Number {n}?") for n in range(EXECUTIONS))
    return {execution_id: n for n, execution_id in enumerate(await asyncio.gather(*starting))}


async def outcomes(scene: Scene, numbers: dict[str, int]) -> dict[int, Outcome]:
    """How each execution ended, by its number."""
    ended = await asyncio.gather(*(scene.client.ended(execution_id) for execution_id in numbers))
    return {numbers[view["execution_id"]]: outcome(view) for view in ended}


def outcome(view: dict[str, Any]) -> Outcome:
    names = ("doc_index", "start_char", "end_char", "checksum", "source_name", "support")
    citations = [tuple(citation[name] for name in names) for citation in view["citations"]]
    return view["status"], view["answer"], citations


async def check_lists(scene: Scene, numbers: dict[str, int], sessions: set[str]) -> None:
    """No row is lost or doubled, in any list."""
    client = scene.client

    async def settled() -> dict[str, Any] | None:
        # a row follows the journal's last record: at once, or with the next holder of the work after a kill
        found = await client.walked("/v1/executions", "executions", 7)
        return None if any(row["status"] == "RUNNING" for row in found) else {"rows": found}

    rows = (await until(settled))["rows"]
    assert sorted(row["execution_id"] for row in rows) == sorted(numbers)
    assert {row["status"] for row in rows} == {"COMPLETED"}
    found = await client.walked("/v1/sessions", "sessions", 1)
    assert sorted(row["session_id"] for row in found) == sorted(sessions)
    for execution_id in numbers:
        steps = await client.walked(f"/v1/executions/{execution_id}/steps", "steps", 3)
        assert [step["turn_index"] for step in steps] == list(range(TURNS))
        page = await client.ask("GET", f"/v1/executions/{execution_id}/events", params={"limit": 1000})
        assert [event["seq"] for event in page["events"]] == list(range(len(page["events"])))


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Outcome]:
    """How the same fifty end in one process that nobody kills."""
    folder = tmp_path_factory.mktemp("calm")
    processes = Processes(folder)
    try:
        return asyncio.run(undisturbed(folder, processes))
    finally:
        processes.end()


async def undisturbed(folder: Path, processes: Processes) -> dict[int, Outcome]:
    async with scene(folder, processes) as (stage, listening):
        processes.serve(API, listening)
        session_id = await stage.client.session(TEXTS)
        found = await outcomes(stage, await begun(stage, session_id))
        assert not stage.book.repeated
        assert len(stage.book.asked) == CALLS
    assert {status for status, _, _ in found.values()} == {"COMPLETED"}
    assert all(citations for _, _, citations in found.values())
    return found


async def test_one_process_that_does_it_all_and_writes_the_database(
    tmp_path: Path, processes: Processes, calm: dict[int, Outcome]
) -> None:
    async with scene(tmp_path, processes) as (stage, listening):
        service = processes.serve(API, listening)
        session_id = await stage.client.session(TEXTS)
        numbers = await begun(stage, session_id)
        following = [asyncio.ensure_future(stage.client.followed(one)) for one in [*numbers][:10]]
        for share in (0.2, 0.5, 0.8):
            await stage.asked(share)
            await writing(stage.folder)
            await processes.kill(service)
            await stage.killed(numbers)
            service = processes.serve(API, listening)
        assert await outcomes(stage, numbers) == calm
        for seen in await asyncio.gather(*following):
            assert seen == list(range(len(seen)))
        await check_lists(stage, numbers, {session_id})
        stage.book.check(most_in_flight=2 * EXECUTIONS)


async def writing(folder: Path) -> None:
    """Until the database's log has just grown: its writer is killed in a commit, or between two."""
    log = folder / "data" / "rlm.sqlite-wal"
    before = log.stat()

    async def changed() -> dict[str, Any] | None:
        return {} if log.stat().st_mtime_ns != before.st_mtime_ns else None

    await until(changed)


async def test_processes_of_their_own_each_killed_and_started_again(
    tmp_path: Path, processes: Processes, calm: dict[int, Outcome]
) -> None:
    async with scene(tmp_path, processes) as (stage, listening):
        parsing = processes.listener()
        parser = processes.serve(PARSER, parsing)
        processes.settings["PARSER_SERVICE_URL"] = url_of(parsing)
        api = processes.serve(API, listening, WORKER_MODE="none")
        reading = [processes.start(WORKER, WORKER_MODE="ingestion") for _ in range(2)]
        driving = [processes.start(WORKER, WORKER_MODE="orchestrator") for _ in range(2)]
        session_id = await stage.client.session(TEXTS)
        numbers = await begun(stage, session_id)
        following = [asyncio.ensure_future(stage.client.followed(one)) for one in [*numbers][:10]]
        letters = await stage.client.session(MANY)
        await read_in(stage, letters, 10)
        for worker in reading:
            await processes.kill(worker)
        await processes.kill(parser)
        parser = processes.serve(PARSER, parsing)
        processes.start(WORKER, WORKER_MODE="ingestion")
        await stage.asked(0.3)
        await processes.kill(driving[0])
        await stage.killed(numbers)
        driving[0] = processes.start(WORKER, WORKER_MODE="orchestrator")
        await stage.asked(0.5)
        await processes.kill(api)
        await stage.asked(0.6)
        api = processes.serve(API, listening, WORKER_MODE="none")
        await processes.kill(driving[1])
        await stage.killed(numbers)
        await stage.asked(0.8)
        await processes.kill(driving[0])
        await stage.killed(numbers)
        processes.start(WORKER, WORKER_MODE="orchestrator")
        assert await outcomes(stage, numbers) == calm
        for seen in await asyncio.gather(*following):
            assert seen == list(range(len(seen)))
        view = await stage.client.ready(letters)
        assert [doc["source_name"] for doc in view["docs"]] == list(MANY)
        assert {doc["ingest_status"] for doc in view["docs"]} == {"PARSED"}
        assert [doc["char_length"] for doc in view["docs"]] == [len(text) for text in MANY.values()]
        await check_lists(stage, numbers, {session_id, letters})
        stage.book.check(most_in_flight=2 * EXECUTIONS)


async def read_in(stage: Scene, session_id: str, enough: int) -> None:
    """Until some of a session's documents have been read in, and not all."""

    async def view() -> dict[str, Any] | None:
        docs = (await stage.client.ask("GET", f"/v1/sessions/{session_id}"))["docs"]
        return {} if sum(doc["ingest_status"] == "PARSED" for doc in docs) >= enough else None

    await until(view)
