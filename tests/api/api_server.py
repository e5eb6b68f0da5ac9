"""A server on a real socket, in a thread of this process, and clients that talk to it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from rlm_rs.api.app import create_app
from rlm_rs.core.ports import ModelProvider
from rlm_rs.settings import Settings
from rlm_rs.wiring import Wiring, wire

SCOPES = ("read", "write", "admin")
LEASE = (
    "This lease runs for three years. The Tenant may end this lease for convenience at any time after the "
    "first anniversary by giving six months' written notice.\n"
)


class Running:
    """A started server: where it is, what it is wired of, and keys to it."""

    def __init__(self, url: str, wiring: Wiring, loop: asyncio.AbstractEventLoop) -> None:
        self.url, self.wiring, self.loop = url, wiring, loop

    def wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def key(self, tenant_id: str, *scopes: str) -> str:
        return str(self.wait(self.wiring.create_key(tenant_id, "test", scopes or SCOPES)))

    def client(self, tenant_id: str = "acme", *scopes: str) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {self.key(tenant_id, *scopes)}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=30)


@contextmanager
def running(
    data_dir: Path, provider: ModelProvider | None = None, root_path: str = "", **settings: Any
) -> Iterator[Running]:
    """Start a server, and end it gracefully. root_path: what a proxy puts before every path."""
    listening = socket.create_server(("127.0.0.1", 0))
    made: list[Wiring] = []
    chosen = Settings(rlm_data_dir=data_dir, **settings)

    def wired() -> Wiring:
        made.append(wire(chosen, provider=provider))
        return made[0]

    server = uvicorn.Server(
        uvicorn.Config(
            create_app(wired),
            log_config=None,
            timeout_graceful_shutdown=2,
            lifespan="on",
            root_path=root_path,
        )
    )
    loops: list[asyncio.AbstractEventLoop] = []

    async def work() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve(sockets=[listening])

    thread = threading.Thread(target=lambda: asyncio.run(work()), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    try:
        yield Running(f"http://127.0.0.1:{listening.getsockname()[1]}", made[0], loops[0])
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server did not stop"


def upload(client: httpx2.Client, text: str = LEASE, name: str = "lease.md") -> str:
    """Store a text; where it lies."""
    done = client.post("/v1/uploads", params={"filename": name}, content=text.encode())
    assert done.status_code == 201, done.text
    return str(done.json()["raw_s3_uri"])


def session(client: httpx2.Client, texts: Mapping[str, str] | None = None, **more: Any) -> str:
    """A session that is ready."""
    docs = [
        {"source_name": name, "mime_type": "text/markdown", "raw_s3_uri": upload(client, text, name)}
        for name, text in (texts or {"lease.md": LEASE}).items()
    ]
    made = client.post("/v1/sessions", json={"ttl_minutes": 60, "docs": docs, **more})
    assert made.status_code == 202, made.text
    session_id = str(made.json()["session_id"])
    until(lambda: client.get(f"/v1/sessions/{session_id}").json()["readiness"]["ready"])
    return session_id


def start(
    client: httpx2.Client, session_id: str, question: str = "How can the lease end?", **more: Any
) -> str:
    """An execution that has begun."""
    made = client.post(f"/v1/sessions/{session_id}/executions", json={"question": question, **more})
    assert made.status_code == 202, made.text
    return str(made.json()["execution_id"])


def ended(client: httpx2.Client, execution_id: str) -> dict[str, Any]:
    """The execution once it has ended."""
    done = client.post(f"/v1/executions/{execution_id}/wait", json={"timeout_seconds": 30})
    assert done.status_code == 200, done.text
    found: dict[str, Any] = done.json()
    assert found["status"] != "RUNNING", found
    return found


def until(holds: Any, seconds: float = 20) -> None:
    """Wait until it holds."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "it did not come to hold"
        time.sleep(0.02)


def code_of(response: httpx2.Response) -> str:
    """The code of an error; fails for anything but a whole envelope."""
    error = response.json()["error"]
    assert set(error) == {"code", "message", "request_id", "details"}, error
    assert error["message"]
    assert error["request_id"] == response.headers["X-Request-ID"]
    return str(error["code"])
