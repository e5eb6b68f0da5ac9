"""The engine behind a URL, with one key."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

from rlm_rs.api.schemas import (
    Body,
    ExecutionBody,
    ResolveBody,
    RuntimeBody,
    SessionBody,
    SpanBody,
    SpanRefBody,
    StepBody,
    given,
)
from rlm_rs.api.views import (
    Deleting,
    ExecutionOut,
    SessionOut,
    SpanOut,
    StartedOut,
    StepOut,
    ToolsOut,
    VerifiedOut,
)
from rlm_rs.client.asking import AsyncClient
from rlm_rs.core.errors import SessionExpired, SessionNotFound
from rlm_rs.core.execution import Event
from rlm_rs.core.records import SessionStatus


@dataclass(frozen=True, slots=True)
class RemoteEngine:
    """`mcp.engine.Engine` over the HTTP API. known: sessions that this process made, by their content."""

    client: AsyncClient
    known: dict[str, str] = field(default_factory=dict)

    async def store(self, name: str, path: Path) -> str:
        """Send a file to the server."""
        return (await self.client.upload(path, name)).raw_s3_uri

    async def create_session(self, body: SessionBody, fingerprint: str | None = None) -> SessionOut:
        """Make a session."""
        made = await self.client.create_session(
            [given(document) for document in body.docs],
            ttl_minutes=body.ttl_minutes,
            options=_sent(body.options),
            models_default=_sent(body.models_default),
            budgets_default=_sent(body.budgets_default),
        )
        if fingerprint is not None:
            self.known[fingerprint] = made.session_id
        return made

    async def find_session(self, fingerprint: str) -> SessionOut | None:
        """A session this process made of that content, if the server still has it."""
        session_id = self.known.get(fingerprint)
        if session_id is None:
            return None
        try:
            found = await self.get_session(session_id)
        except (SessionNotFound, SessionExpired):
            return None
        return found if found.status in (SessionStatus.READY, SessionStatus.CREATING) else None

    async def get_session(self, session_id: str) -> SessionOut:
        """A session as it stands."""
        return await self.client.get_session(session_id)

    async def delete_session(self, session_id: str) -> Deleting:
        """Remove a session."""
        return await self.client.delete_session(session_id)

    async def start_execution(self, session_id: str, body: ExecutionBody) -> StartedOut:
        """Put a question to a session."""
        return await self.client.start_execution(
            session_id,
            body.question,
            models=_sent(body.models),
            budgets=_sent(body.budgets),
            options=given(body.options),
            continue_from=body.continue_from,
            output_schema=body.output_schema,
        )

    async def get_execution(self, execution_id: str) -> ExecutionOut:
        """An execution as it stands."""
        return await self.client.get_execution(execution_id)

    async def wait_execution(self, execution_id: str, seconds: float) -> ExecutionOut:
        """An execution once it has ended, or as it stands when the time is over."""
        return await self.client.wait_execution(execution_id, seconds)

    async def cancel_execution(self, execution_id: str) -> ExecutionOut:
        """Ask an execution to stop."""
        return await self.client.cancel_execution(execution_id)

    def follow(self, execution_id: str) -> AsyncGenerator[tuple[int, Event]]:
        """The numbered events of an execution, those to come as they come."""
        return self.client.follow(execution_id)

    async def create_runtime(self, session_id: str, body: RuntimeBody) -> StartedOut:
        """Begin an execution whose steps the client writes."""
        return await self.client.create_runtime(
            session_id, models=_sent(body.models), budgets=_sent(body.budgets), options=given(body.options)
        )

    async def take_step(self, execution_id: str, body: StepBody) -> StepOut:
        """Run a client's step."""
        return await self.client.step(
            execution_id, body.code, state=body.state, resolve_tools=body.options.resolve_tools
        )

    async def resolve_tools(self, execution_id: str, body: ResolveBody) -> ToolsOut:
        """Answer sub-calls that a step queued."""
        requests = {
            "llm": [given(item) for item in body.tool_requests.llm],
            "search": [given(item) for item in body.tool_requests.search],
        }
        return await self.client.resolve_tools(execution_id, requests, models=_sent(body.models))

    async def get_span(self, body: SpanBody) -> SpanOut:
        """The text of a range and a citation of it."""
        return await self.client.get_span(body.session_id, body.doc_id, body.start_char, body.end_char)

    async def verify_citation(self, ref: SpanRefBody) -> VerifiedOut:
        """Recompute a citation."""
        return await self.client.verify_citation(ref.model_dump())


def _sent(body: Body | None) -> dict[str, object] | None:
    """What of a body was named, or None."""
    return given(body) or None
