"""Before any route: whose request it is, whether the tenant may make it now; after it: the audit log.

A key is checked before the body is read, so that a stranger costs no memory.
"""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rlm_rs.api.edge import CLIENT_GONE, route_path
from rlm_rs.api.envelope import request_id
from rlm_rs.api.parts import Parts, parts_of
from rlm_rs.api.sign_in import cookie_of, signed_in
from rlm_rs.core.errors import Forbidden, RlmError, Unauthorized
from rlm_rs.core.records import ApiKeyRecord, AuditRecord
from rlm_rs.telemetry.logs import bind

PREFIX = "/v1"
MCP_PATH = "/mcp"
MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
AUDITED = "audited"

_bearer = HTTPBearer(auto_error=False, description="a key made with `rlm keys create`")


class Gate:
    """The middleware inside `Edge`; what it raises, `Edge` answers with."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through whose key is good and whose tenant has not asked too much."""
        if scope["type"] != "http" or not _guarded(route_path(scope)):
            await self._app(scope, receive, send)
            return
        parts = parts_of(scope)
        caller = await _identified(scope, parts)
        state = scope.setdefault("state", {})
        state["caller"] = caller
        bind(tenant_id=caller.tenant_id)
        await parts.wiring.limiter.check_request(caller.tenant_id)
        if scope["method"] not in MUTATING or route_path(scope) == MCP_PATH:
            # every request for a tool is a POST; the tools that change something are audited by name
            await self._app(scope, receive, send)
            return
        state[AUDITED] = True
        await _Audited(scope, receive, send, caller, parts).through(self._app)


class _Audited:
    """A request that changes something: whatever becomes of it, it is in the audit log once."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, caller: ApiKeyRecord, parts: Parts
    ) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._caller, self._audit = caller, parts.wiring.audit
        self._cut_off: int | None = None
        self._written = False

    async def through(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self.receive, self.send)
        except ClientDisconnect:
            await self._write(CLIENT_GONE)
            raise
        except RlmError as error:
            await self._write(error.status)
            raise
        except Exception:
            await self._write(RlmError.status)
            raise

    async def receive(self) -> Message:
        try:
            message = await self._receive()
        except RlmError as error:
            self._cut_off = error.status
            raise
        if message["type"] == "http.disconnect":
            self._cut_off = CLIENT_GONE
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            # a body that did not come whole is the reason, whatever the application makes of what came
            await self._write(self._cut_off or message["status"])
        await self._send(message)

    async def _write(self, status: int) -> None:
        if self._written or not self._scope["state"][AUDITED]:
            return
        self._written = True
        await self._audit.write(_entry(self._scope, self._caller, status))


def _guarded(path: str) -> bool:
    return path in (PREFIX, MCP_PATH) or path.startswith((f"{PREFIX}/", f"{MCP_PATH}/"))


async def _identified(scope: Scope, parts: Parts) -> ApiKeyRecord:
    headers = Headers(scope=scope)
    if "authorization" not in headers and (cookie := cookie_of(headers)):
        return await signed_in(cookie, scope["method"], headers, parts.wiring)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("Send a key: `Authorization: Bearer rlm_key_…`. `rlm keys create` makes one.")
    return await parts.wiring.check_key(token.strip())


def _entry(scope: Scope, caller: ApiKeyRecord, status: int) -> AuditRecord:
    return AuditRecord(
        tenant_id=caller.tenant_id,
        at=time.time(),
        request_id=request_id(scope),
        key_id=caller.key_id,
        method=scope["method"],
        path=scope["path"],
        status=status,
    )


def scoped(request: Request, scope: str) -> ApiKeyRecord:
    """The key of a request. Raises `Forbidden` if it has not that scope."""
    caller: ApiKeyRecord = request.state.caller
    if scope not in caller.scopes:
        raise Forbidden(scope=scope)
    return caller


def _reader(request: Request, _: Annotated[object, Depends(_bearer)]) -> ApiKeyRecord:
    # what only reads is not audited, also where it is a POST
    request.scope["state"][AUDITED] = False
    return scoped(request, "read")


def _writer(request: Request, _: Annotated[object, Depends(_bearer)]) -> ApiKeyRecord:
    return scoped(request, "write")


def _admin(request: Request, _: Annotated[object, Depends(_bearer)]) -> ApiKeyRecord:
    request.scope["state"][AUDITED] = request.method in MUTATING
    return scoped(request, "admin")


Reader = Annotated[ApiKeyRecord, Depends(_reader)]
Writer = Annotated[ApiKeyRecord, Depends(_writer)]
Admin = Annotated[ApiKeyRecord, Depends(_admin)]
