"""The tools. Those named `rlm_…` map to one route of the HTTP API each and take its body as `request`."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import ConfigDict, Field

from rlm_rs.api.schemas import (
    Body,
    BudgetsBody,
    DocumentBody,
    ExecutionBody,
    ModelsBody,
    Question,
    ResolveBody,
    RuntimeBody,
    SessionBody,
    SessionOptionsBody,
    SpanBody,
    SpanRefBody,
    StepBody,
    WaitBody,
)
from rlm_rs.api.views import Deleting, SpanOut
from rlm_rs.core.records import MAX_DOCUMENTS, MAX_TTL_MINUTES
from rlm_rs.mcp import asking, sources
from rlm_rs.mcp.asking import HANDLE_SECONDS, Wanted
from rlm_rs.mcp.host import host_of, reading, writing
from rlm_rs.mcp.opening import TTL_MINUTES, ClientRoots, stored_files
from rlm_rs.mcp.replies import (
    Asked,
    ExecutionShown,
    From,
    Passage,
    SessionShown,
    Started,
    StepShown,
    ToolsShown,
    VerifiedShown,
    execution_shown,
    reply,
    session_shown,
    started,
    step_shown,
    tools_shown,
    verified_shown,
)
from rlm_rs.mcp.wording import (
    asked_text,
    execution_text,
    passage_text,
    session_text,
    span_text,
    step_text,
    tools_text,
    verified_text,
)

MAX_AROUND_CHARS = 2_000
MAX_SPAN_CHARS = 20_000

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,200}$")]
SessionId = Annotated[Id, Field(description="of a session, as ask or rlm_create_session gave it")]
ExecutionId = Annotated[Id, Field(description="of an execution, as ask or rlm_start_execution gave it")]
Start = Annotated[int, Field(ge=0, lt=2**53)]
Paths = Annotated[
    list[str],
    Field(
        max_length=1_000,
        description="files, folders, globs or archives of this machine, below the folders that are allowed",
    ),
]


class NewSession(Body):
    """A session to be. Without docs it needs paths."""

    ttl_minutes: Annotated[int, Field(gt=0, le=MAX_TTL_MINUTES, description="how long it lives")] = (
        TTL_MINUTES
    )
    docs: list[DocumentBody] = Field(
        default_factory=list, max_length=MAX_DOCUMENTS, description="stored documents, by raw_s3_uri"
    )
    options: SessionOptionsBody = SessionOptionsBody()
    models_default: ModelsBody | None = None
    budgets_default: BudgetsBody | None = None


class CitationRef(SpanRefBody):
    """A citation as an answer has it; what stands beside its reference is left aside."""

    model_config = ConfigDict(extra="ignore")


class Verify(Body):
    """A citation to check: its reference, or its number in an answer."""

    ref: CitationRef | None = None
    execution_id: Id | None = None
    citation: Annotated[int, Field(ge=1)] | None = None


async def ask(
    question: Question,
    roots: ClientRoots,
    ctx: Context,
    paths: Paths | None = None,
    session_id: SessionId | None = None,
    continue_from: Annotated[Id | None, Field(description="execution_id this question follows up")] = None,
    budgets: BudgetsBody | None = None,
    output_schema: Annotated[
        dict[str, Any] | None, Field(description="JSON Schema that the answer must satisfy")
    ] = None,
    wait_seconds: Annotated[
        float, Field(gt=0, le=HANDLE_SECONDS, description="answer with a handle after so long")
    ] = HANDLE_SECONDS,
) -> Annotated[CallToolResult, Asked]:
    """Answer a question over documents of any size, with citations that were checked against their text.

    Give `paths` (files, folders, archives) or the `session_id` of an earlier answer, which saves reading the
    same files again. What takes longer than 45 seconds answers with an execution_id: go on with
    rlm_wait_execution. Each citation names file, page and quote; read_source shows the text around it.
    """
    wanted = Wanted(question, paths, session_id, continue_from, budgets, output_schema)
    asked = await asking.ask(wanted, roots, wait_seconds, ctx)
    return reply(asked_text(asked), asked)


async def read_source(
    ctx: Context,
    execution_id: ExecutionId | None = None,
    citation: Annotated[int | None, Field(ge=1, description="number of a citation, as in [1]")] = None,
    session_id: SessionId | None = None,
    doc_id: Annotated[Id | None, Field(description="of a document, as rlm_get_session lists it")] = None,
    start_char: Start = 0,
    end_char: Start | None = None,
    around: Annotated[
        int, Field(ge=0, le=MAX_AROUND_CHARS, description="characters before and after a citation")
    ] = 600,
) -> Annotated[CallToolResult, Passage]:
    """Read the text of a document: around a citation, or by range.

    Give `execution_id` and `citation` (its number), or `session_id`, `doc_id` and `start_char` (and
    `end_char`; else 4,000 characters). Long ranges are cut, with where to read on.
    """
    engine = reading(ctx)
    if execution_id is not None and citation is not None:
        passage = await sources.around(execution_id, citation, around, engine)
    elif session_id is not None and doc_id is not None:
        passage = await sources.between(session_id, doc_id, start_char, end_char, engine)
    else:
        raise ToolError("Give execution_id and citation, or session_id, doc_id and start_char.")
    return reply(passage_text(passage), passage)


async def rlm_create_session(
    roots: ClientRoots,
    ctx: Context,
    request: NewSession | None = None,
    paths: Paths | None = None,
) -> Annotated[CallToolResult, SessionShown]:
    """Make a session: documents to ask about, by `request.docs` (stored objects), by `paths`, or both.

    Documents are read in meanwhile: rlm_get_session says when it is ready.
    """
    wanted, engine = request or NewSession(), writing(ctx)
    more = await stored_files(paths, roots, engine, host_of(ctx)) if paths else []
    if len(wanted.docs) + len(more) > MAX_DOCUMENTS:
        raise ToolError(f"A session holds {MAX_DOCUMENTS:,} documents at most. Name fewer.")
    body = SessionBody.model_validate({**wanted.model_dump(exclude_none=True), "docs": [*wanted.docs, *more]})
    made = session_shown(await engine.create_session(body))
    return reply(session_text(made), made)


async def rlm_get_session(
    session_id: SessionId, ctx: Context, docs_from: Start = 0
) -> Annotated[CallToolResult, SessionShown]:
    """Show a session: whether it can be asked, and its documents, 50 at a time from number `docs_from` on."""
    found = session_shown(await reading(ctx).get_session(session_id), docs_from)
    return reply(session_text(found), found)


async def rlm_delete_session(session_id: SessionId, ctx: Context) -> Annotated[CallToolResult, Deleting]:
    """Remove a session for good: its documents, texts and executions. It cannot be undone."""
    deleting = await writing(ctx).delete_session(session_id)
    return reply(f"{session_id} is being deleted.", deleting)


async def rlm_start_execution(
    session_id: SessionId, request: ExecutionBody, ctx: Context
) -> Annotated[CallToolResult, Started]:
    """Put a question to a session that is ready and return at once (see ask for all in one call).

    With `request.options.synchronous` it waits for the end, at most 45 seconds.
    """
    engine = writing(ctx)
    made = await engine.start_execution(session_id, request)
    if request.options.synchronous:
        seconds = min(request.options.synchronous_timeout_seconds, HANDLE_SECONDS)
        ended = await engine.wait_execution(made.execution_id, seconds)
        made = made.model_copy(update={"status": ended.status})
    shown = started(made)
    return reply(f"{shown.execution_id} is {shown.status}. {shown.next}", shown)


async def rlm_get_execution(
    execution_id: ExecutionId,
    ctx: Context,
    answer_from: Annotated[Start, Field(description="character of the answer to read on from")] = 0,
    citations_from: Start = 0,
    contexts_from: Start = 0,
) -> Annotated[CallToolResult, ExecutionShown]:
    """Show an execution: its status, its answer with citations, what it used. Long answers come in pieces."""
    start = From(answer=answer_from, citations=citations_from, contexts=contexts_from)
    found = execution_shown(await reading(ctx).get_execution(execution_id), start)
    return reply(execution_text(found), found)


async def rlm_wait_execution(
    execution_id: ExecutionId, ctx: Context, request: WaitBody | None = None
) -> Annotated[CallToolResult, ExecutionShown]:
    """Wait for an execution to end, at most 45 seconds at a time; call it again while it is RUNNING.

    Cancelling the call ends the waiting, not the execution.
    """
    seconds = min((request or WaitBody()).timeout_seconds, HANDLE_SECONDS)
    found = execution_shown(await asking.waited(execution_id, seconds, ctx))
    return reply(execution_text(found), found)


async def rlm_cancel_execution(
    execution_id: ExecutionId, ctx: Context
) -> Annotated[CallToolResult, ExecutionShown]:
    """Stop an execution. One that has ended stays as it is."""
    found = execution_shown(await writing(ctx).cancel_execution(execution_id))
    return reply(execution_text(found), found)


async def rlm_runtime_create_execution(
    session_id: SessionId, ctx: Context, request: RuntimeBody | None = None
) -> Annotated[CallToolResult, Started]:
    """Begin an execution whose Python steps you write yourself, with rlm_runtime_step."""
    made = await writing(ctx).create_runtime(session_id, request or RuntimeBody())
    shown = Started(
        execution_id=made.execution_id, status=made.status, next="rlm_runtime_step runs the first step."
    )
    return reply(f"{shown.execution_id} is {shown.status}. {shown.next}", shown)


async def rlm_runtime_step(
    execution_id: ExecutionId, request: StepBody, ctx: Context
) -> Annotated[CallToolResult, StepShown]:
    """Run a step of Python over the documents, in the sandbox.

    `context` is the list of documents: `doc[a:b]`, `doc.find(term)`, `doc.regex(pattern)`, `len(doc)`;
    `state` is kept between steps; `print` shows; `FINAL(answer)` ends. An error in the code is a result.
    """
    shown = step_shown(await writing(ctx).take_step(execution_id, request))
    return reply(step_text(shown), shown)


async def rlm_resolve_tools(
    execution_id: ExecutionId, request: ResolveBody, ctx: Context
) -> Annotated[CallToolResult, ToolsShown]:
    """Answer the sub-calls that a step queued; the next step finds them in `state["_tool_results"]`."""
    shown = tools_shown(await writing(ctx).resolve_tools(execution_id, request))
    return reply(tools_text(shown), shown)


async def rlm_get_span(request: SpanBody, ctx: Context) -> Annotated[CallToolResult, SpanOut]:
    """Read a range of a document, at most 20,000 characters, with a citation of just that range."""
    if request.end_char - request.start_char > MAX_SPAN_CHARS:
        raise ToolError(f"At most {MAX_SPAN_CHARS:,} characters at a time: read it in several calls.")
    span = await reading(ctx).get_span(request)
    return reply(span_text(span), span)


async def rlm_verify_citation(request: Verify, ctx: Context) -> Annotated[CallToolResult, VerifiedShown]:
    """Check a citation against the stored text: by `ref`, or by `execution_id` and `citation` (a number)."""
    engine = reading(ctx)
    ref: SpanRefBody | None = request.ref
    if ref is None and request.execution_id is not None and request.citation is not None:
        cited = await sources.citation_of(request.execution_id, request.citation, engine)
        ref = CitationRef.model_validate(cited.model_dump())
    if ref is None:
        raise ToolError("Give request.ref, or request.execution_id and request.citation.")
    found = verified_shown(await engine.verify_citation(ref), ref)
    return reply(verified_text(found), found)


READS = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
MAKES = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
)
ENDS = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
)

TOOLS = (
    (ask, "Ask documents", MAKES),
    (read_source, "Read a source", READS),
    (rlm_create_session, "Make a session", MAKES),
    (rlm_get_session, "Show a session", READS),
    (rlm_delete_session, "Delete a session", ENDS),
    (rlm_start_execution, "Start an execution", MAKES),
    (rlm_get_execution, "Show an execution", READS),
    (rlm_wait_execution, "Wait for an execution", READS),
    (rlm_cancel_execution, "Cancel an execution", ENDS),
    (rlm_runtime_create_execution, "Begin a client-driven execution", MAKES),
    (rlm_runtime_step, "Run a step", MAKES),
    (rlm_resolve_tools, "Answer sub-calls", MAKES),
    (rlm_get_span, "Read a range", READS),
    (rlm_verify_citation, "Check a citation", READS),
)
"""Every tool: the function, a title for people, what it does to the world."""
