"""OpenAI-compatible chat: an RLM as a drop-in model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse
from starlette.types import Scope

from rlm_rs.api.chat_messages import Asked, ChatBody, Passage, asked, output_schema
from rlm_rs.api.chat_replies import (
    MODEL,
    chunk,
    completion,
    last_chunks,
    model_entry,
    reasoning,
    usage_chunk,
)
from rlm_rs.api.departure import while_connected
from rlm_rs.api.edge import CLIENT_GONE
from rlm_rs.api.envelope import RECORDED, documented, enveloped
from rlm_rs.api.gate import Reader, Writer
from rlm_rs.api.parts import Parts, PartsDep
from rlm_rs.api.shapes import chat_execution, chat_session
from rlm_rs.api.sse import HEADERS, STREAM, STREAMED, frame, kept_alive
from rlm_rs.core.errors import (
    BudgetExceeded,
    MaxTurnsExceeded,
    ParserFailed,
    ProviderFailed,
    RlmError,
    SessionExpired,
    SessionNotFound,
    SessionNotReady,
    ToolFailed,
)
from rlm_rs.core.execution import Run
from rlm_rs.core.records import SessionStatus
from rlm_rs.orchestrator import executions, lifecycle
from rlm_rs.orchestrator.event_log import replayed
from rlm_rs.orchestrator.executions import NewExecution
from rlm_rs.orchestrator.ports import Service
from rlm_rs.orchestrator.uploads import store_upload
from rlm_rs.telemetry.logs import bind

router = APIRouter(prefix="/v1", tags=["chat"])

READY_SECONDS = 600.0
FIRST_LOOK_SECONDS, SLOWEST_LOOK_SECONDS = 0.02, 1.0
GRACE_SECONDS = 60.0
DONE = b"data: [DONE]\n\n"
_RESPONSES: dict[int | str, dict[str, Any]] = {
    **documented(
        *RECORDED,
        SessionNotFound,
        SessionNotReady,
        SessionExpired,
        BudgetExceeded,
        MaxTurnsExceeded,
        ProviderFailed,
        ParserFailed,
        ToolFailed,
    ),
    200: {
        "content": STREAMED,
        "description": "a completion, or with `stream` its chunks",
    },
}


@router.get("/models", responses=documented())
async def list_models(caller: Reader, parts: PartsDep) -> dict[str, Any]:
    """`rlm`, which is the configured root and sub model, and the root model by its own name."""
    names = dict.fromkeys((MODEL, parts.wiring.models().root))
    return {"object": "list", "data": [model_entry(name) for name in names]}


@router.post("/chat/completions", response_model=None, responses=_RESPONSES)
async def complete(
    request: Request, body: ChatBody, caller: Writer, parts: PartsDep
) -> Response | dict[str, Any]:
    """Answer a chat. Long messages become documents, the last user message is the question; `stream` sends
    the turns as reasoning and the answer as content. Citations stand in the message beside the content."""
    if not body.stream:
        answer = await while_connected(request, _answered(body, caller.tenant_id, parts))
        return answer or Response(status_code=CLIENT_GONE)
    run = await while_connected(request, _begun(asked(body.messages), body, caller.tenant_id, parts))
    if run is None:
        return Response(status_code=CLIENT_GONE)
    frames = _frames(run, body, request.scope, parts.service)
    return StreamingResponse(kept_alive(frames), media_type=STREAM, headers=HEADERS)


async def _answered(body: ChatBody, tenant_id: str, parts: Parts) -> dict[str, Any]:
    run = await _begun(asked(body.messages), body, tenant_id, parts)
    async with _wanted(run, parts.service):
        run = await _ended(run, tenant_id, parts.service)
    return completion(run, body.model)


@asynccontextmanager
async def _wanted(run: Run, service: Service) -> AsyncGenerator[None]:
    """Cancel an execution unless the block ends: the client is gone, and nobody else waits for it."""
    try:
        yield
    except BaseException:
        await executions.cancel(run.execution.tenant_id, run.execution.execution_id, service)
        raise


async def _begun(wanted: Asked, body: ChatBody, tenant_id: str, parts: Parts) -> Run:
    service = parts.service
    uploads = [
        (passage.name, await store_upload(tenant_id, passage.name, _bytes(passage), service))
        for passage in wanted.corpus
    ]
    made = await lifecycle.create_session(tenant_id, chat_session(uploads), service)
    await _ready(tenant_id, made.session.session_id, service)
    root = None if body.model == MODEL else body.model
    execution = chat_execution(wanted.question, root, output_schema(body))
    async with parts.wiring.limiter.starting_execution(tenant_id):
        run = await _submitted(tenant_id, made.session.session_id, execution, service)
    bind(session_id=run.execution.session_id, execution_id=run.execution.execution_id)
    return run


async def _submitted(tenant_id: str, session_id: str, new: NewExecution, service: Service) -> Run:
    """Submit whole or not at all: a client that leaves meanwhile leaves no half of an execution."""
    submitting = asyncio.ensure_future(executions.submit(tenant_id, session_id, new, service))
    try:
        return await asyncio.shield(submitting)
    except asyncio.CancelledError:
        run = await submitting
        await executions.cancel(tenant_id, run.execution.execution_id, service)
        raise


async def _bytes(passage: Passage) -> AsyncIterator[bytes]:
    yield passage.text.encode()


async def _ready(tenant_id: str, session_id: str, service: Service) -> None:
    """Wait until the session can be asked.

    Raises `ParserFailed` if no message could be read, `SessionNotReady` if it takes too long, and
    `SessionNotFound` and `SessionExpired` as it is.
    """
    ends, pause = time.monotonic() + READY_SECONDS, FIRST_LOOK_SECONDS
    while not (view := await lifecycle.session_view(tenant_id, session_id, service)).ready:
        if view.session.status == SessionStatus.FAILED:
            raise _unreadable(view)
        if view.session.status != SessionStatus.CREATING:
            raise SessionNotFound(session_id=session_id)
        if time.monotonic() > ends:
            raise SessionNotReady(session_id=session_id, reason="its documents are still being read")
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, SLOWEST_LOOK_SECONDS)


def _unreadable(view: lifecycle.SessionView) -> ParserFailed:
    for document in view.documents:
        if failure := document.failure:
            return ParserFailed(
                source_name=document.source_name, reason=failure.message, failure_code=failure.code
            )
    return ParserFailed("None of the messages could be read.")


async def _ended(run: Run, tenant_id: str, service: Service) -> Run:
    seconds = run.execution.budgets.max_total_seconds + GRACE_SECONDS
    return await executions.wait(tenant_id, run.execution.execution_id, seconds, service)


async def _frames(run: Run, body: ChatBody, scope: Scope, service: Service) -> AsyncGenerator[bytes]:
    tenant_id, execution_id = run.execution.tenant_id, run.execution.execution_id
    try:
        async with _wanted(run, service):
            yield frame(chunk(run, body.model, {"role": "assistant", "content": ""}))
            async for _, event in executions.follow(tenant_id, execution_id, -1, service):
                if told := reasoning(event):
                    yield frame(chunk(run, body.model, {"reasoning_content": told}))
            run = await replayed(service.ports.log, tenant_id, execution_id)
        for last in last_chunks(run, body.model):
            yield frame(last)
        if body.stream_options and body.stream_options.include_usage:
            yield frame(usage_chunk(run, body.model))
    except RlmError as error:
        yield frame(enveloped(error, scope))
    yield DONE
