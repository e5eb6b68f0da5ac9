"""`ask`: from paths or a session to an answer with checked citations, or to a handle when it takes long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import anyio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ListRootsResult

from rlm_rs.api.schemas import BudgetsBody, ExecutionBody, SpanRefBody
from rlm_rs.api.views import CitationView, ExecutionOut, SessionOut, VerifiedOut
from rlm_rs.core.corpus import IngestStatus
from rlm_rs.core.records import ExecutionStatus, SessionStatus
from rlm_rs.mcp.advice import told
from rlm_rs.mcp.cutting import (
    ANSWER_TOKENS,
    ERROR_CHARS,
    PIECE_TOKENS,
    cut,
    first,
    json_tokens,
    on_one_line,
    tokens,
)
from rlm_rs.mcp.engine import Engine
from rlm_rs.mcp.host import Host, host_of, reading, writing
from rlm_rs.mcp.opening import opened, opening_key
from rlm_rs.mcp.progress import Progress
from rlm_rs.mcp.replies import Asked, Cited
from rlm_rs.mcp.wording import asked_text, happened, step_of

HANDLE_SECONDS = 45.0
"""After so long a call answers with a handle: clients give up after about 60."""

FIRST_LOOK_SECONDS, SLOWEST_LOOK_SECONDS = 0.1, 1.0
CANCEL_SECONDS = 10.0
CHECKED_CITATIONS = 12
QUOTE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `ask` was called with."""

    text: str
    paths: Sequence[str] | None = None
    session_id: str | None = None
    continue_from: str | None = None
    budgets: BudgetsBody | None = None
    output_schema: Mapping[str, Any] | None = None


async def ask(wanted: Wanted, roots: ListRootsResult, seconds: float, ctx: Context) -> Asked:
    """An answer, or a handle after so many seconds. When the call is cancelled, so is its execution."""
    asking = _Asking(host_of(ctx), writing(ctx), Progress(ctx), anyio.current_time() + seconds)
    async with asking.progress.beating():
        session_id, unread = await asking.session(wanted, roots)
        if session_id is None:
            return Asked(
                status=None, next="Files are still being sent: call ask again with the same arguments."
            )
        session = await asking.ready(session_id)
        unread = [*unread, *_failed(session)]
        if session.status == SessionStatus.CREATING:
            following = f"Call ask again with session_id={session_id}; documents are still being read in."
            return Asked(status=None, session_id=session_id, unread=unread, next=following)
        execution = await asking.answered(session_id, wanted)
        return await _shown(execution, unread, asking.engine)


async def waited(execution_id: str, seconds: float, ctx: Context) -> ExecutionOut:
    """An execution once it has ended, or as it stands after so many seconds."""
    engine, progress = reading(ctx), Progress(ctx)
    # an execution that is not there is an error at once
    found = await engine.get_execution(execution_id)
    if found.status == ExecutionStatus.RUNNING:
        async with progress.beating():
            with anyio.move_on_after(seconds):
                await follow(execution_id, engine, progress)
    return await engine.get_execution(execution_id)


async def follow(execution_id: str, engine: Engine, progress: Progress) -> None:
    """Tell of everything that happens, until the execution has ended."""
    async with aclosing(engine.follow(execution_id)) as events:
        async for _, event in events:
            await progress.tell(happened(event))


@dataclass(frozen=True, slots=True)
class _Asking:
    host: Host
    engine: Engine
    progress: Progress
    deadline: float

    async def session(self, wanted: Wanted, roots: ListRootsResult) -> tuple[str | None, list[str]]:
        """The session to ask and the files that are not in it; None if it is not there in time."""
        if wanted.paths and wanted.session_id:
            raise ToolError("Give paths or session_id, not both: paths make a session of their own.")
        if wanted.paths:
            return await self._opened(wanted.paths, roots)
        if wanted.session_id:
            return wanted.session_id, []
        if wanted.continue_from:
            return (await self.engine.get_execution(wanted.continue_from)).session_id, []
        raise ToolError(
            "Name what to read: paths (files or folders), or the session_id of an earlier answer."
        )

    async def _opened(self, paths: Sequence[str], roots: ListRootsResult) -> tuple[str | None, list[str]]:
        await self.progress.tell("looking at the files")
        try:
            with anyio.CancelScope(deadline=self.deadline):
                return await opened(paths, roots, self.engine, self.host)
        except anyio.get_cancelled_exc_class():
            self.host.give_up(opening_key(paths, roots))
            raise
        return None, []

    async def ready(self, session_id: str) -> SessionOut:
        """The session once its documents are read in, or as it stands when the time is over."""
        session, pause = await self.engine.get_session(session_id), FIRST_LOOK_SECONDS
        while session.status == SessionStatus.CREATING and anyio.current_time() < self.deadline:
            done = sum(not _is_waited_for(document.ingest_status) for document in session.docs)
            await self.progress.tell(step_of(len(session.docs), done))
            await anyio.sleep(min(pause, max(0.0, self.deadline - anyio.current_time())))
            pause = min(SLOWEST_LOOK_SECONDS, pause * 1.5)
            session = await self.engine.get_session(session_id)
        return session

    async def answered(self, session_id: str, wanted: Wanted) -> ExecutionOut:
        """The execution once it has ended, or as it stands when the time is over."""
        body = ExecutionBody(
            question=wanted.text,
            budgets=wanted.budgets,
            continue_from=wanted.continue_from,
            output_schema=dict(wanted.output_schema) if wanted.output_schema else None,
        )
        # one that has begun without our knowing it could not be cancelled
        with anyio.CancelScope(shield=True):
            started = await self.engine.start_execution(session_id, body)
        try:
            await self._followed(started.execution_id)
            return await self.engine.get_execution(started.execution_id)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True), anyio.move_on_after(CANCEL_SECONDS):
                await self.engine.cancel_execution(started.execution_id)
            raise

    async def _followed(self, execution_id: str) -> None:
        with anyio.CancelScope(deadline=self.deadline):
            await follow(execution_id, self.engine, self.progress)


def _is_waited_for(status: IngestStatus) -> bool:
    return status in (IngestStatus.REGISTERED, IngestStatus.PARSING)


def _failed(session: SessionOut) -> list[str]:
    failed = [document for document in session.docs if document.ingest_status == IngestStatus.FAILED]
    lines = [f"{document.source_name}: {document.failure_reason}" for document in failed]
    return lines if len(lines) <= 10 else [*lines[:10], f"and {len(lines) - 10} more"]


async def _shown(execution: ExecutionOut, unread: list[str], engine: Engine) -> Asked:
    if execution.status == ExecutionStatus.RUNNING:
        return _handle(execution, unread)
    if not execution.answer:
        raise ToolError(_why_no_answer(execution))
    asked = execution.citations[:CHECKED_CITATIONS]
    checked = await asyncio.gather(*(verified(citation, engine) for citation in asked))
    return with_citations(_answer(execution, unread), list(zip(asked, checked, strict=True)))


def _handle(execution: ExecutionOut, unread: list[str]) -> Asked:
    return Asked(
        status=execution.status,
        execution_id=execution.execution_id,
        session_id=execution.session_id,
        unread=unread,
        turns=int(execution.budgets_consumed.get("turns", 0)),
        next=(
            f"Call rlm_wait_execution with execution_id={execution.execution_id} until it has ended; "
            "rlm_cancel_execution stops it."
        ),
    )


def _why_no_answer(execution: ExecutionOut) -> str:
    """What to tell of an execution that ended without an answer."""
    error = execution.error
    code = error.code if error else execution.status.value
    reason = error.message if error else f"it ended {execution.status} without an answer."
    where = f"(execution_id={execution.execution_id}, session_id={execution.session_id})"
    return f"{told(code, cut(reason, ERROR_CHARS))} {where}"


def _answer(execution: ExecutionOut, unread: list[str]) -> Asked:
    whole, spent = execution.answer or "", execution.budgets_consumed
    piece = first(whole, PIECE_TOKENS)
    following = (
        "read_source with execution_id and citation shows the text around a citation; ask with continue_from="
        "execution_id follows up."
    )
    if len(piece) < len(whole):
        more = f"The answer goes on: rlm_get_execution with answer_from={len(piece)}."
        following = f"{more} {following}"
    return Asked(
        status=execution.status,
        execution_id=execution.execution_id,
        session_id=execution.session_id,
        answer=piece,
        answer_chars=len(whole),
        partial=execution.partial,
        citations_total=len(execution.citations),
        unread=unread,
        error=cut(execution.error.message, ERROR_CHARS) if execution.error else None,
        turns=int(spent.get("turns", 0)),
        seconds=float(spent.get("total_seconds", 0.0)),
        cost_usd=spent.get("cost_usd"),
        next=following,
    )


async def verified(citation: CitationView, engine: Engine) -> VerifiedOut:
    """A citation recomputed from the stored text."""
    names = SpanRefBody.model_fields.keys()
    return await engine.verify_citation(SpanRefBody(**{name: getattr(citation, name) for name in names}))


def with_citations(asked: Asked, checked: Sequence[tuple[CitationView, VerifiedOut]]) -> Asked:
    """The answer with as many of its citations as there is room for."""
    for number, (citation, found) in enumerate(checked, start=1):
        grown = asked.model_copy(update={"citations": [*asked.citations, _cited(number, citation, found)]})
        room = ANSWER_TOKENS - max(json_tokens(grown.model_dump(mode="json")), tokens(asked_text(grown)))
        if room < 0:
            break
        asked = grown
    return asked


def _cited(number: int, citation: CitationView, found: VerifiedOut) -> Cited:
    return Cited(
        number=number,
        source_name=citation.source_name,
        page=citation.page,
        quote=on_one_line(found.text or "", QUOTE_CHARS),
        support=citation.support,
        verified=found.valid,
        doc_id=citation.doc_id,
        start_char=citation.start_char,
        end_char=citation.end_char,
    )
