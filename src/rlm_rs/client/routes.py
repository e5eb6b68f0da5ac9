"""The routes of the HTTP API, one method each, with the shapes the server itself answers in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

import httpx2
from pydantic import BaseModel, ValidationError

from rlm_rs.api.views import (
    Deleting,
    EventPage,
    ExecutionOut,
    ExecutionPage,
    SessionOut,
    SessionPage,
    SpanOut,
    StartedOut,
    StepOut,
    ToolsOut,
    UploadOut,
    VerifiedOut,
)
from rlm_rs.client.following import follow
from rlm_rs.client.transport import Transport
from rlm_rs.client.uploads import Content, Sent, body_of, length_of
from rlm_rs.core.errors import ServerUnreadable, ValidationFailed
from rlm_rs.core.execution import Event
from rlm_rs.settings import load_settings

M = TypeVar("M", bound=BaseModel)

JSON = Mapping[str, Any]
DAY_MINUTES = 24 * 60


class Routes:
    """A server of the HTTP API, route by route.

    base_url, api_key: by default RLM_BASE_URL and RLM_API_KEY (or `rlm.toml`). seconds: how long a response
    may take. max_retries: how often a request that did not come through is repeated.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        seconds: float = 60.0,
        max_retries: int = 4,
    ) -> None:
        if base_url is None or api_key is None:
            settings = load_settings()
            base_url = base_url or settings.rlm_base_url
            kept = settings.rlm_api_key
            api_key = api_key or (kept.get_secret_value() if kept else None)
        if not base_url:
            raise ValidationFailed(reason="No server is named: give base_url, or set RLM_BASE_URL.")
        self.transport = Transport(base_url, api_key, seconds=seconds, max_retries=max_retries)

    # ---- sessions

    async def upload(self, content: Content, name: str, *, sent: Sent | None = None) -> UploadOut:
        """Store bytes, or a file by its path, under a name. sent(bytes so far, in all) follows along."""
        length = await length_of(content)
        response = await self.transport.send(
            "POST",
            "/uploads",
            params={"filename": name},
            headers={"Content-Type": "application/octet-stream", "Content-Length": str(length)},
            body=body_of(content, length, sent),
        )
        return self._read(UploadOut, response)

    async def create_session(
        self,
        docs: Sequence[JSON],
        *,
        ttl_minutes: int = DAY_MINUTES,
        options: JSON | None = None,
        models_default: JSON | None = None,
        budgets_default: JSON | None = None,
        idempotency_key: str | None = None,
    ) -> SessionOut:
        """Make a session of documents that are named by `raw_s3_uri`; they are parsed meanwhile."""
        body = _given(
            ttl_minutes=ttl_minutes,
            docs=list(docs),
            options=options,
            models_default=models_default,
            budgets_default=budgets_default,
        )
        response = await self.transport.send("POST", "/sessions", json=body, headers=_once(idempotency_key))
        return self._read(SessionOut, response)

    async def get_session(self, session_id: str) -> SessionOut:
        """A session, its readiness, and how far each document has come."""
        return self._read(SessionOut, await self.transport.send("GET", f"/sessions/{session_id}"))

    async def list_sessions(self, limit: int = 100, cursor: str | None = None) -> SessionPage:
        """A page of sessions, newest first."""
        params = _given(limit=limit, cursor=cursor)
        return self._read(SessionPage, await self.transport.send("GET", "/sessions", params=params))

    async def delete_session(self, session_id: str) -> Deleting:
        """Remove a session with everything of it."""
        return self._read(Deleting, await self.transport.send("DELETE", f"/sessions/{session_id}"))

    # ---- executions

    async def start_execution(
        self,
        session_id: str,
        question: str,
        *,
        models: JSON | None = None,
        budgets: JSON | None = None,
        options: JSON | None = None,
        continue_from: str | None = None,
        output_schema: JSON | None = None,
        idempotency_key: str | None = None,
    ) -> StartedOut:
        """Put a question to a session; a worker of the server goes on with it."""
        body = _given(
            question=question,
            models=models,
            budgets=budgets,
            options=options,
            continue_from=continue_from,
            output_schema=output_schema,
        )
        path = f"/sessions/{session_id}/executions"
        response = await self.transport.send("POST", path, json=body, headers=_once(idempotency_key))
        return self._read(StartedOut, response)

    async def get_execution(self, execution_id: str) -> ExecutionOut:
        """An execution as its journal has it."""
        return self._read(ExecutionOut, await self.transport.send("GET", f"/executions/{execution_id}"))

    async def list_executions(
        self,
        limit: int = 100,
        cursor: str | None = None,
        *,
        status: str | None = None,
        mode: str | None = None,
        session_id: str | None = None,
    ) -> ExecutionPage:
        """A page of executions, newest first."""
        params = _given(limit=limit, cursor=cursor, status=status, mode=mode, session_id=session_id)
        return self._read(ExecutionPage, await self.transport.send("GET", "/executions", params=params))

    async def wait_execution(self, execution_id: str, timeout_seconds: float = 60.0) -> ExecutionOut:
        """The execution once it has ended, or as it is when the timeout comes first."""
        response = await self.transport.send(
            "POST",
            f"/executions/{execution_id}/wait",
            json={"timeout_seconds": timeout_seconds},
            waits_seconds=timeout_seconds,
        )
        return self._read(ExecutionOut, response)

    async def cancel_execution(self, execution_id: str) -> ExecutionOut:
        """Stop an execution; one that has ended stays so."""
        return self._read(
            ExecutionOut, await self.transport.send("POST", f"/executions/{execution_id}/cancel")
        )

    async def get_events(self, execution_id: str, limit: int = 200, cursor: str | None = None) -> EventPage:
        """A page of an execution's events so far."""
        params = _given(limit=limit, cursor=cursor)
        path = f"/executions/{execution_id}/events"
        return self._read(EventPage, await self.transport.send("GET", path, params=params))

    def follow(self, execution_id: str, after: int = -1) -> AsyncGenerator[tuple[int, Event]]:
        """Numbered events after number `after`, those to come as they come, up to `Finished`.

        A stream that breaks is taken up again where it was.
        """
        return follow(self.transport, execution_id, after)

    async def get_trace(self, execution_id: str, *, redact: bool = False) -> dict[str, Any]:
        """The trace (`rlm_trace_v1`) of an execution so far."""
        params = {"redact": redact}
        response = await self.transport.send("GET", f"/executions/{execution_id}/trace", params=params)
        found: dict[str, Any] = self._json(response)
        return found

    # ---- executions whose steps the client writes

    async def create_runtime(
        self,
        session_id: str,
        *,
        models: JSON | None = None,
        budgets: JSON | None = None,
        options: JSON | None = None,
        idempotency_key: str | None = None,
    ) -> StartedOut:
        """Begin an execution whose steps the client writes."""
        body = _given(models=models, budgets=budgets, options=options)
        path = f"/sessions/{session_id}/executions/runtime"
        response = await self.transport.send("POST", path, json=body, headers=_once(idempotency_key))
        return self._read(StartedOut, response)

    async def step(
        self,
        execution_id: str,
        code: str,
        *,
        state: Any = None,
        resolve_tools: bool = False,
        seconds: float = 600.0,
    ) -> StepOut:
        """Run a step; what goes wrong in its code is a result. seconds: how long to wait for it."""
        body = _given(code=code, state=state, options={"resolve_tools": resolve_tools})
        response = await self.transport.send(
            "POST",
            f"/executions/{execution_id}/steps",
            json=body,
            repeatable=False,
            waits_seconds=seconds,
        )
        return self._read(StepOut, response)

    async def resolve_tools(
        self, execution_id: str, tool_requests: JSON, *, models: JSON | None = None, seconds: float = 600.0
    ) -> ToolsOut:
        """Answer what a step queued. seconds: how long to wait for it."""
        response = await self.transport.send(
            "POST",
            f"/executions/{execution_id}/tools/resolve",
            json=_given(tool_requests=tool_requests, models=models),
            repeatable=False,
            waits_seconds=seconds,
        )
        return self._read(ToolsOut, response)

    # ---- texts and citations

    async def get_span(self, session_id: str, doc_id: str, start_char: int, end_char: int) -> SpanOut:
        """The text of a range and a citation of it."""
        body = {"session_id": session_id, "doc_id": doc_id, "start_char": start_char, "end_char": end_char}
        return self._read(SpanOut, await self.transport.send("POST", "/spans/get", json=body))

    async def verify_citation(self, ref: JSON) -> VerifiedOut:
        """Recompute a citation from the stored text."""
        return self._read(
            VerifiedOut, await self.transport.send("POST", "/citations/verify", json={"ref": dict(ref)})
        )

    async def aclose(self) -> None:
        """End every connection."""
        await self.transport.close()

    def _read(self, shape: type[M], response: httpx2.Response) -> M:
        try:
            return shape.model_validate(self._json(response))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ServerUnreadable(url=self.transport.url, reason=f"{place}: {first['msg']}") from error

    def _json(self, response: httpx2.Response) -> Any:
        try:
            return response.json()
        except ValueError as error:
            raise ServerUnreadable(url=self.transport.url, reason="what is not JSON") from error


def _given(**named: Any) -> dict[str, Any]:
    return {name: value for name, value in named.items() if value is not None}


def _once(key: str | None) -> dict[str, str]:
    """A request that is repeated makes one thing."""
    return {"Idempotency-Key": key or uuid4().hex}
