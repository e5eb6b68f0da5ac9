"""The server over streamable HTTP, as a part of the HTTP API's application.

Each request stands alone: no sessions of the protocol are kept, so any replica may answer any request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.types import ASGIApp

from rlm_rs.mcp.embedded import EmbeddedEngine
from rlm_rs.mcp.engine import Engine
from rlm_rs.mcp.host import Host, Scope
from rlm_rs.mcp.server import build
from rlm_rs.orchestrator.limiter import Limiter
from rlm_rs.orchestrator.ports import Service

Admitted = Callable[[Request, Scope], str]
"""The tenant of a request whose key has a scope. Raises `Forbidden`."""

Told = Callable[[Request, str, bool], Awaitable[None]]
"""Hears of each call of a tool that changes something, and whether it went well."""


Endpoint = Callable[[Service, Limiter, Admitted, Told, int], AbstractAsyncContextManager[ASGIApp]]


@asynccontextmanager
async def endpoint(
    service: Service, limiter: Limiter, admitted: Admitted, told: Told, max_body_bytes: int
) -> AsyncIterator[ASGIApp]:
    """The application behind `/mcp`, while it runs. Local files cannot be named: it is nobody's machine."""

    def engines(request: Any, scope: Scope) -> Engine:
        return EmbeddedEngine(service, limiter, admitted(request, scope))

    server = build(Host(engines, told=told))
    server.streamable_http_app(
        stateless_http=True,
        max_request_body_size=max_body_bytes,
        # a key is needed that no page of another origin has, and the API answers no preflight
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    async with server.session_manager.run():
        yield server.session_manager.handle_request
