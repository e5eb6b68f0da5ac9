"""What the tools ask of an engine, in this process or behind a URL, in the shapes of the HTTP API."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Protocol

from rlm_rs.api.schemas import (
    ExecutionBody,
    ResolveBody,
    RuntimeBody,
    SessionBody,
    SpanBody,
    SpanRefBody,
    StepBody,
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
from rlm_rs.core.execution import Event


class Engine(Protocol):
    """One tenant's sessions and executions. Each method raises the errors of the API's route of that name."""

    async def store(self, name: str, path: Path) -> str:
        """Keep a file as an upload; its `raw_s3_uri`. The file may be moved away."""

    async def create_session(self, body: SessionBody, fingerprint: str | None = None) -> SessionOut:
        """Make a session; `find_session` finds it by its fingerprint."""

    async def find_session(self, fingerprint: str) -> SessionOut | None:
        """A session of that content which can be asked or is being read in, or None."""

    async def get_session(self, session_id: str) -> SessionOut:
        """A session as it stands."""

    async def delete_session(self, session_id: str) -> Deleting:
        """Remove a session."""

    async def start_execution(self, session_id: str, body: ExecutionBody) -> StartedOut:
        """Put a question to a session."""

    async def get_execution(self, execution_id: str) -> ExecutionOut:
        """An execution as it stands."""

    async def wait_execution(self, execution_id: str, seconds: float) -> ExecutionOut:
        """An execution once it has ended, or as it stands when the time is over."""

    async def cancel_execution(self, execution_id: str) -> ExecutionOut:
        """Ask an execution to stop."""

    def follow(self, execution_id: str) -> AsyncGenerator[tuple[int, Event]]:
        """The numbered events of an execution, those to come as they come."""

    async def create_runtime(self, session_id: str, body: RuntimeBody) -> StartedOut:
        """Begin an execution whose steps the client writes."""

    async def take_step(self, execution_id: str, body: StepBody) -> StepOut:
        """Run a client's step."""

    async def resolve_tools(self, execution_id: str, body: ResolveBody) -> ToolsOut:
        """Answer sub-calls that a step queued."""

    async def get_span(self, body: SpanBody) -> SpanOut:
        """The text of a range and a citation of it."""

    async def verify_citation(self, ref: SpanRefBody) -> VerifiedOut:
        """Recompute a citation."""
