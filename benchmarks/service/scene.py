"""The served process and its memory, a client of it, and stored executions made without running them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2

from rlm_rs.core.records import ExecutionRecord
from rlm_rs.settings import Settings
from rlm_rs.wiring import Wiring, wire

MB = 1 << 20
SAMPLE_SECONDS = 0.05
AT_ONCE = 32
TEXT = b"The notice period is ninety days. The rent is due monthly.\n"


@dataclass
class Served:
    """A server process, and clients of its two tenants."""

    pid: int
    data_dir: Path
    url: str
    busy: httpx2.AsyncClient
    quiet: httpx2.AsyncClient

    async def session(self, client: httpx2.AsyncClient, count: int = 1) -> str:
        """A session of small documents, once it can be asked."""
        uploads = [f"/v1/uploads?filename=doc_{n}.txt" for n in range(count)]
        made = await at_once([client.post(path, content=TEXT) for path in uploads])
        docs = [
            {"source_name": f"doc_{n}.txt", "mime_type": "text/plain", "raw_s3_uri": one["raw_s3_uri"]}
            for n, one in enumerate(made)
        ]
        body = {"ttl_minutes": 600, "docs": docs}
        session_id = str(checked(await client.post("/v1/sessions", json=body))["session_id"])
        await self.ready(client, session_id)
        return session_id

    async def ready(self, client: httpx2.AsyncClient, session_id: str) -> None:
        while True:
            if checked(await client.get(f"/v1/sessions/{session_id}"))["readiness"]["ready"]:
                return
            await asyncio.sleep(0.1)

    async def start(self, client: httpx2.AsyncClient, session_id: str, question: str) -> str:
        path = f"/v1/sessions/{session_id}/executions"
        return str(checked(await client.post(path, json={"question": question}))["execution_id"])

    async def ended(self, client: httpx2.AsyncClient, execution_id: str) -> dict[str, Any]:
        """The execution, which must have completed."""
        path = f"/v1/executions/{execution_id}/wait"
        while (view := checked(await client.post(path, json={"timeout_seconds": 30})))["status"] == "RUNNING":
            continue
        assert view["status"] == "COMPLETED", view
        return view


@asynccontextmanager
async def serving(data_dir: Path, latency: float = 0.0) -> AsyncIterator[Served]:
    """The service on a free port of loopback, ended afterwards."""
    process = _started(data_dir, latency)
    try:
        assert process.stdout is not None
        told = json.loads(await asyncio.to_thread(process.stdout.readline))
        async with (
            client_of(told["url"], told["busy"]) as busy,
            client_of(told["url"], told["quiet"]) as quiet,
        ):
            await answering(busy)
            yield Served(process.pid, data_dir, told["url"], busy, quiet)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 30)


def _started(data_dir: Path, latency: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(Path(__file__).with_name("server.py")), str(data_dir), f"{latency}s"]
    with (data_dir.parent / "server.log").open("wb") as log:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)


def client_of(url: str, key: str) -> httpx2.AsyncClient:
    """A client with room for many streams."""
    limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)
    headers = {"Authorization": f"Bearer {key}"}
    return httpx2.AsyncClient(base_url=url, headers=headers, timeout=600, limits=limits)


async def answering(client: httpx2.AsyncClient) -> None:
    """Until the server answers, and its sandbox is warm."""
    while True:
        try:
            checked(await client.get("/health/ready"))
        except httpx2.TransportError:
            await asyncio.sleep(0.1)
        else:
            return


def checked(response: httpx2.Response) -> Any:
    """The body of a 2xx response."""
    assert response.is_success, response.text
    return response.json()


async def at_once(requests: list[Awaitable[httpx2.Response]], width: int = AT_ONCE) -> list[Any]:
    """The bodies of many requests, so many under way at a time, in order."""
    slots = asyncio.Semaphore(width)

    async def one(request: Awaitable[httpx2.Response]) -> Any:
        async with slots:
            return checked(await request)

    return list(await asyncio.gather(*(one(request) for request in requests)))


@dataclass
class Memory:
    """Resident memory of the server process alone, in MB: at the start and the most of it."""

    before: float
    most: float = field(default=0.0)

    @property
    def grown(self) -> float:
        """By how much it rose at most."""
        return max(0.0, self.most - self.before)


@asynccontextmanager
async def memory_of(pid: int) -> AsyncIterator[Memory]:
    """What the server's memory does meanwhile."""
    found = Memory(resident(pid))

    async def sample() -> None:
        while True:
            found.most = max(found.most, resident(pid))
            await asyncio.sleep(SAMPLE_SECONDS)

    sampling = asyncio.ensure_future(sample())
    try:
        yield found
    finally:
        found.most = max(found.most, resident(pid))
        sampling.cancel()


def resident(pid: int) -> float:
    """Private and shared memory without mapped files, in MB (proc_pid_status(5), RssAnon)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no memory figures for process {pid}")


async def timed(work: Awaitable[Any]) -> float:
    """Seconds."""
    begun = time.perf_counter()
    await work
    return time.perf_counter() - begun


async def stored(data_dir: Path, tenant: str, template_id: str, count: int) -> list[str]:
    """So many more executions like the one that ran, written as its journal and row with other ids."""
    wiring = wire(Settings(rlm_data_dir=data_dir, llm_provider="fake"))
    try:
        journal, catalog = wiring.stores.journal, wiring.stores.catalog
        row = await catalog.get_execution(tenant, template_id)
        assert row is not None
        records = list(await journal.read(template_id))
        ids = [f"exec_{uuid4().hex}" for _ in range(count)]
        slots = asyncio.Semaphore(128)
        await asyncio.gather(*(_copied(wiring, slots, row, records, one, n) for n, one in enumerate(ids)))
        return ids
    finally:
        await wiring.close()


async def _copied(
    wiring: Wiring,
    slots: asyncio.Semaphore,
    row: ExecutionRecord,
    records: list[bytes],
    execution_id: str,
    number: int,
) -> None:
    async with slots:
        for seq, record in enumerate(records):
            named = record.replace(row.execution_id.encode(), execution_id.encode())
            await wiring.stores.journal.append(execution_id, seq, named)
        copy = replace(row, execution_id=execution_id, created_at=row.created_at - number)
        await wiring.stores.catalog.put_execution(copy)


@contextmanager
def told(text: str) -> Iterator[None]:
    """Say on standard error what goes on, and how long it took."""
    begun = time.perf_counter()
    print(f"  {text} …", end="", file=sys.stderr, flush=True)
    yield
    print(f" {time.perf_counter() - begun:.1f} s", file=sys.stderr)


Part = Callable[[Path, float], Awaitable[list["Figure"]]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement; `target` as the acceptance states it, `held` whether it was met."""

    name: str
    value: float
    unit: str
    target: str = ""
    held: bool = True
