"""`/mcp`: the MCP server beside the API, with the same keys, tenants and scopes.

Its SDK takes seconds to import, so that is done when somebody first asks, not when the server starts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from rlm_rs.api.envelope import request_id
from rlm_rs.api.gate import MCP_PATH, scoped
from rlm_rs.api.parts import Parts, parts_of
from rlm_rs.core.errors import NotFound
from rlm_rs.core.records import AuditRecord

if TYPE_CHECKING:
    from rlm_rs.mcp.host import Scope
    from rlm_rs.mcp.http import Endpoint

SDK = "mcp"
SUCCEEDED, FAILED = 200, 400


class McpEndpoint:
    """An ASGI application that comes to be when it is first asked for; `running` is its lifespan."""

    path = MCP_PATH
    """What the log and the metrics call its requests."""

    def __init__(self) -> None:
        self._wanted = asyncio.Event()
        self._app: asyncio.Future[ASGIApp] | None = None
        self._serving: asyncio.Future[None] | None = None

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answer a request. Raises `NotFound` where the SDK is not installed."""
        if self._app is None or self._serving is None or find_spec(SDK) is None:
            raise NotFound(
                f"There is nothing at {MCP_PATH}: install the MCP server with `pip install 'rlm-rs[mcp]'`.",
                path=MCP_PATH,
            )
        scope["route"] = self
        self._wanted.set()
        either: set[asyncio.Future[Any]] = {self._app, self._serving}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not self._app.done():
            # it did not start: whoever asks is told why
            await self._serving
        app = await self._app
        await app(scope, receive, send)

    @asynccontextmanager
    async def running(self, parts: Parts) -> AsyncIterator[None]:
        """While the application runs."""
        stop = asyncio.Event()
        self._wanted, self._app = asyncio.Event(), asyncio.get_running_loop().create_future()
        self._serving = asyncio.ensure_future(self._serve(parts, self._app, stop))
        try:
            yield
        finally:
            stop.set()
            self._wanted.set()
            await asyncio.gather(self._serving, return_exceptions=True)

    async def _serve(self, parts: Parts, app: asyncio.Future[ASGIApp], stop: asyncio.Event) -> None:
        """In a task of its own, since what runs in the SDK is to be entered and left in one."""
        await self._wanted.wait()
        if stop.is_set():
            return
        module = await asyncio.to_thread(import_module, "rlm_rs.mcp.http")
        endpoint: Endpoint = module.endpoint
        limit = parts.wiring.settings.request_size_limit_bytes
        async with endpoint(parts.service, parts.wiring.limiter, _admitted, _told, limit) as made:
            app.set_result(made)
            await stop.wait()


def _admitted(request: Request, scope: Scope) -> str:
    return scoped(request, scope).tenant_id


async def _told(request: Request, tool: str, went_well: bool) -> None:
    """The audit log names the tool: they all have one path."""
    caller = request.state.caller
    entry = AuditRecord(
        tenant_id=caller.tenant_id,
        at=time.time(),
        request_id=request_id(request.scope),
        key_id=caller.key_id,
        method=request.method,
        path=f"{MCP_PATH}/{tool}",
        status=SUCCEEDED if went_well else FAILED,
    )
    await parts_of(request.scope).wiring.audit.write(entry)
