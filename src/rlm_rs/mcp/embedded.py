"""The engine of this process, for one tenant."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from pathlib import Path

from rlm_rs.api.schemas import (
    ExecutionBody,
    ResolveBody,
    RuntimeBody,
    SessionBody,
    SpanBody,
    SpanRefBody,
    StepBody,
    given,
)
from rlm_rs.api.shapes import (
    execution_out,
    new_execution,
    new_runtime,
    new_session,
    session_out,
    span_out,
    span_ref,
    status_of,
    step_out,
    tool_requests_of,
    verified_out,
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
from rlm_rs.core.errors import SessionExpired
from rlm_rs.core.execution import Event, Run
from rlm_rs.core.records import SessionStatus
from rlm_rs.orchestrator import executions, lifecycle, runtime
from rlm_rs.orchestrator.event_log import replayed
from rlm_rs.orchestrator.limiter import Limiter
from rlm_rs.orchestrator.passages import check_citation, read_span
from rlm_rs.orchestrator.ports import Service
from rlm_rs.orchestrator.uploads import store_file


@dataclass(frozen=True, slots=True)
class EmbeddedEngine:
    """`mcp.engine.Engine` over the service of this process, whose workers do the work."""

    service: Service
    limiter: Limiter
    tenant_id: str

    async def store(self, name: str, path: Path) -> str:
        """Keep a file as an upload."""
        return await store_file(self.tenant_id, name, path, self.service)

    async def create_session(self, body: SessionBody, fingerprint: str | None = None) -> SessionOut:
        """Make a session."""
        new = replace(new_session(body), fingerprint=fingerprint)
        return session_out(await lifecycle.create_session(self.tenant_id, new, self.service))

    async def find_session(self, fingerprint: str) -> SessionOut | None:
        """A session of that content, in whichever process it was made."""
        known = await self.service.ports.catalog.find_session(self.tenant_id, fingerprint)
        if known is None or known.status not in (SessionStatus.READY, SessionStatus.CREATING):
            return None
        try:
            return await self.get_session(known.session_id)
        except SessionExpired:
            return None

    async def get_session(self, session_id: str) -> SessionOut:
        """A session as it stands."""
        return session_out(await lifecycle.session_view(self.tenant_id, session_id, self.service))

    async def delete_session(self, session_id: str) -> Deleting:
        """Remove a session."""
        await lifecycle.delete_session(self.tenant_id, session_id, self.service)
        return Deleting()

    async def start_execution(self, session_id: str, body: ExecutionBody) -> StartedOut:
        """Put a question to a session."""
        async with self.limiter.starting_execution(self.tenant_id):
            run = await executions.submit(self.tenant_id, session_id, new_execution(body), self.service)
        return _started(run)

    async def get_execution(self, execution_id: str) -> ExecutionOut:
        """An execution as it stands."""
        return self._execution_out(await replayed(self.service.ports.log, self.tenant_id, execution_id))

    async def wait_execution(self, execution_id: str, seconds: float) -> ExecutionOut:
        """An execution once it has ended, or as it stands when the time is over."""
        run = await executions.wait(self.tenant_id, execution_id, seconds, self.service)
        return self._execution_out(run)

    async def cancel_execution(self, execution_id: str) -> ExecutionOut:
        """Ask an execution to stop."""
        return self._execution_out(await executions.cancel(self.tenant_id, execution_id, self.service))

    def follow(self, execution_id: str) -> AsyncGenerator[tuple[int, Event]]:
        """The numbered events of an execution, those to come as they come."""
        return executions.follow(self.tenant_id, execution_id, -1, self.service)

    async def create_runtime(self, session_id: str, body: RuntimeBody) -> StartedOut:
        """Begin an execution whose steps the client writes."""
        async with self.limiter.starting_execution(self.tenant_id):
            run = await runtime.create_runtime(self.tenant_id, session_id, new_runtime(body), self.service)
        return _started(run)

    async def take_step(self, execution_id: str, body: StepBody) -> StepOut:
        """Run a client's step."""
        taken = await runtime.step(
            self.tenant_id, execution_id, body.code, body.state, body.options.resolve_tools, self.service
        )
        return step_out(taken)

    async def resolve_tools(self, execution_id: str, body: ResolveBody) -> ToolsOut:
        """Answer sub-calls that a step queued."""
        requests = tool_requests_of(body)
        answered = await runtime.resolve_tools(
            self.tenant_id, execution_id, requests, given(body.models), self.service
        )
        return ToolsOut(tool_results=answered.tool_results, statuses=answered.statuses)

    async def get_span(self, body: SpanBody) -> SpanOut:
        """The text of a range and a citation of it."""
        return span_out(
            *await read_span(
                self.tenant_id, body.session_id, body.doc_id, body.start_char, body.end_char, self.service
            )
        )

    async def verify_citation(self, ref: SpanRefBody) -> VerifiedOut:
        """Recompute a citation."""
        cited = span_ref(ref)
        return verified_out(cited, *await check_citation(self.tenant_id, cited, self.service))

    def _execution_out(self, run: Run) -> ExecutionOut:
        return execution_out(run, self.service.ports)


def _started(run: Run) -> StartedOut:
    return StartedOut(execution_id=run.execution.execution_id, status=status_of(run))
