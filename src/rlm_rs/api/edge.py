"""Around every request: its id, the limit on its size, its metrics and its line in the log.

Pure ASGI: a body is counted as it passes and never gathered here, so that one that is too large is cut
off at the limit, whatever its Content-Length says.
"""

from __future__ import annotations

import re
import time
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rlm_rs.api.envelope import METHODS, envelope
from rlm_rs.api.parts import Parts, parts_of
from rlm_rs.core.errors import RequestTooLarge, RlmError
from rlm_rs.telemetry.logs import bind, bound, logger, unbind
from rlm_rs.telemetry.requests import AnsweredRequest

REQUEST_ID = "X-Request-ID"
UPLOADS = "/v1/uploads"
UNROUTED = "(none)"
STRANGERS = frozenset({"/sign-in", "/sign-out"})
"""Where anybody may send a body before a key is known."""
STRANGER_BYTES = 8_192
CLIENT_GONE = 499
"""Counted where a client left before its request was whole; nobody is there to be sent it."""
TRACE_CONTEXT = ("traceparent", "tracestate")
_MADE = re.compile(r"/v1/(session|execution)s/([^/]+)")
"""What a response's Location says was made."""
_SANE_ID = re.compile(r"[\w.:-]{1,128}")
_log = logger(__name__)


class Edge:
    """The outermost middleware of the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, to its end; whatever happens inside, an envelope comes out."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        parts, begun = parts_of(scope), time.perf_counter()
        exchange = _Exchange(scope, receive, send, _limit(scope, parts))
        unbind()
        bind(request_id=exchange.request_id)
        try:
            await self._answered(scope, exchange)
        finally:
            _told(scope, exchange, parts, time.perf_counter() - begun)

    async def _answered(self, scope: Scope, exchange: _Exchange) -> None:
        try:
            exchange.check_declared()
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            exchange.status = exchange.status or CLIENT_GONE
        except RlmError as error:
            await exchange.fail(error)
        except Exception as error:  # noqa: BLE001 - the edge of the process: the client gets an answer
            _log.error("unexpected", exc_info=error)
            await exchange.fail(RlmError(reason="unexpected; the log has it under this request_id"))
        if exchange.too_large:
            await exchange.fail(RequestTooLarge(limit=exchange.limit))


class _Exchange:
    """A request on its way: what came in is counted, what goes out is noted.

    made: the id of what the response says was made.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: int | None) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self.limit = limit
        self.status = 0
        self.too_large = False
        self.made: dict[str, str] = {}
        self._received = 0
        given = Headers(scope=scope).get(REQUEST_ID, "")
        self.request_id = given if _SANE_ID.fullmatch(given) else f"req_{uuid4().hex}"
        scope.setdefault("state", {})["request_id"] = self.request_id

    def check_declared(self) -> None:
        declared = Headers(scope=self._scope).get("content-length", "")
        if self.limit is not None and declared.isdigit() and int(declared) > self.limit:
            raise RequestTooLarge(limit=self.limit)

    async def receive(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self.limit is not None and self._received > self.limit:
            self.too_large = True
            raise RequestTooLarge(limit=self.limit)
        return message

    async def send(self, message: Message) -> None:
        if self.too_large and not self.status:
            # the application's words about a body that was cut off are not the reason
            return
        await self._forward(message)

    async def fail(self, error: RlmError) -> None:
        """Answer with an envelope, unless an answer has begun already."""
        if not self.status:
            await envelope(error, self._scope)(self._scope, self._receive, self._forward)

    async def _forward(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = self.request_id
            headers.setdefault("X-Content-Type-Options", "nosniff")
            if found := _MADE.fullmatch(headers.get("Location", "")):
                self.made = {f"{found[1]}_id": found[2]}
        await self._send(message)


def route_path(scope: Scope) -> str:
    """The path as the routes know it: without what a proxy put before it (ASGI, `root_path`)."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    below = path.removeprefix(root)
    return below if root and below.startswith("/") else path


def _limit(scope: Scope, parts: Parts) -> int | None:
    settings = parts.wiring.settings
    path = route_path(scope)
    if path in STRANGERS:
        return STRANGER_BYTES
    if path.rstrip("/") == UPLOADS:
        return settings.upload_size_limit_bytes
    return settings.request_size_limit_bytes


def _told(scope: Scope, exchange: _Exchange, parts: Parts, seconds: float) -> None:
    path = getattr(scope.get("route"), "path", UNROUTED)
    method = scope["method"] if scope["method"] in METHODS else "OTHER"
    parts.metrics.request_ended(method, path, exchange.status, seconds)
    ids = {name: value for name, value in scope.get("path_params", {}).items() if name.endswith("_id")}
    caller = scope.get("state", {}).get("caller")
    if caller is not None:
        ids["tenant_id"] = caller.tenant_id
    bind(**{**exchange.made, **ids})
    _log.info("request", method=method, route=path, status=exchange.status, seconds=round(seconds, 4))
    if parts.wiring.tracing.answered is not None:
        parts.wiring.tracing.answered(_request(scope, exchange, seconds))


def _request(scope: Scope, exchange: _Exchange, seconds: float) -> AnsweredRequest:
    ids, headers, end = bound(), Headers(scope=scope), time.time()
    return AnsweredRequest(
        method=scope["method"] if scope["method"] in METHODS else None,
        route=getattr(scope.get("route"), "path", None),
        status=exchange.status,
        scheme=scope["scheme"],
        start=end - seconds,
        end=end,
        headers={name: headers[name] for name in TRACE_CONTEXT if name in headers},
        request_id=exchange.request_id,
        tenant_id=ids.get("tenant_id"),
        session_id=ids.get("session_id"),
        execution_id=ids.get("execution_id"),
    )
