"""The served process and its memory, a client of it, and stored executions made without running them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import apsw
import httpx2

from rlm_rs.wiring.stores import DATABASE_FILE

MB = 1 << 20
SAMPLE_SECONDS = 0.05
AT_ONCE = 32
ROWS_AT_ONCE = 2_000
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


def stored(data_dir: Path, tenant: str, template_id: str, count: int) -> list[str]:
    """So many more executions like the one that ran, with other ids; returns these.

    Written straight into the tables, which takes seconds where the ports would take many minutes.
    """
    ids = [f"exec_{uuid4().hex}" for _ in range(count)]
    db = apsw.Connection(str(data_dir / DATABASE_FILE))
    db.set_busy_timeout(30_000)
    records = [bytes(row[0]) for row in db.execute(_EVENTS, (template_id,))]
    session_id, created_at, record = db.execute(_ROW, (tenant, template_id)).fetchone()
    for begin in range(0, count, ROWS_AT_ONCE):
        some = list(enumerate(ids[begin : begin + ROWS_AT_ONCE], begin))
        with db:
            db.executemany(
                "INSERT INTO events VALUES (?, ?, ?)",
                (
                    (one, seq, text.replace(template_id.encode(), one.encode()))
                    for _, one in some
                    for seq, text in enumerate(records)
                ),
            )
            db.executemany(
                "INSERT INTO executions VALUES (?, ?, ?, ?, ?)",
                (
                    (
                        tenant,
                        one,
                        session_id,
                        created_at - n,
                        record.replace(template_id.encode(), one.encode()),
                    )
                    for n, one in some
                ),
            )
    db.close()
    return ids


_EVENTS = "SELECT record FROM events WHERE execution_id = ? ORDER BY seq"
_ROW = "SELECT session_id, created_at, record FROM executions WHERE tenant_id = ? AND execution_id = ?"


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
