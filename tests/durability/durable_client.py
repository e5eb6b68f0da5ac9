"""What a client does and sees, over HTTP alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2

RETRY_SECONDS = 0.05
PATIENCE_SECONDS = 60.0


@dataclass
class Client:
    """A client that comes back when the server was away."""

    http: httpx2.AsyncClient
    retried: int = field(default=0)

    async def ask(self, method: str, path: str, **what: Any) -> Any:
        """The body of a 2xx response."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    done = await self.http.request(method, path, **what)
                except httpx2.TransportError:
                    self.retried += 1
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                assert done.is_success, done.text
                return done.json()

    async def session(self, texts: dict[str, str]) -> str:
        """A session that is being read in."""
        docs = []
        for name, text in texts.items():
            made = await self.ask("POST", f"/v1/uploads?filename={name}", content=text.encode())
            docs.append({"source_name": name, "mime_type": "text/plain", "raw_s3_uri": made["raw_s3_uri"]})
        made = await self.ask("POST", "/v1/sessions", json={"ttl_minutes": 60, "docs": docs})
        return str(made["session_id"])

    async def ready(self, session_id: str) -> dict[str, Any]:
        """The session once it can be asked."""

        async def view() -> dict[str, Any] | None:
            found: dict[str, Any] = await self.ask("GET", f"/v1/sessions/{session_id}")
            return found if found["readiness"]["ready"] else None

        return await until(view)

    async def start(self, session_id: str, question: str) -> str:
        body = {"question": question, "budgets": {"max_total_seconds": 600}}
        path = f"/v1/sessions/{session_id}/executions"
        made = await self.ask("POST", path, json=body)
        return str(made["execution_id"])

    async def ended(self, execution_id: str) -> dict[str, Any]:
        """The execution once it has ended."""

        async def view() -> dict[str, Any] | None:
            path = f"/v1/executions/{execution_id}/wait"
            found: dict[str, Any] = await self.ask("POST", path, json={"timeout_seconds": 5})
            return found if found["status"] != "RUNNING" else None

        return await until(view)

    async def followed(self, execution_id: str) -> list[int]:
        """The numbers of all events, as a stream that is taken up again wherever it was cut."""
        seen: list[int] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                headers = {"Accept": "text/event-stream"}
                if seen:
                    headers["Last-Event-ID"] = str(seen[-1])
                try:
                    if await self._streamed(execution_id, headers, seen):
                        return seen
                except httpx2.TransportError:
                    self.retried += 1
                await asyncio.sleep(RETRY_SECONDS)

    async def _streamed(self, execution_id: str, headers: dict[str, str], seen: list[int]) -> bool:
        path = f"/v1/executions/{execution_id}/events"
        async with self.http.stream("GET", path, headers=headers) as lines:
            number, kind = -1, ""
            async for line in lines.aiter_lines():
                if line.startswith("id: "):
                    number = int(line[4:])
                elif line.startswith("event: "):
                    kind = line[7:]
                elif not line and kind:
                    # an event counts once it has come whole
                    seen.append(number)
                    if kind == "Finished":
                        return True
                    kind = ""
        return lines.status_code == 204

    async def walked(self, path: str, name: str, limit: int) -> list[dict[str, Any]]:
        """All rows of a list, page by page."""
        rows: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            params = {"limit": limit, **({"cursor": cursor} if cursor else {})}
            page = await self.ask("GET", path, params=params)
            rows += page[name]
            cursor = page["next_cursor"]
            if cursor is None:
                return rows


async def until(view: Callable[[], Awaitable[dict[str, Any] | None]]) -> dict[str, Any]:
    """What is to be seen, once there is something."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = await view()
            if found is not None:
                return found
            await asyncio.sleep(RETRY_SECONDS)
