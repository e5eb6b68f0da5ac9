"""Texts behind answers: the passage around a citation, and documents and citations as resources."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, ParamSpec

import orjson
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError

from rlm_rs.api.schemas import SpanBody
from rlm_rs.api.views import CitationView, DocumentView, ExecutionOut, SessionOut
from rlm_rs.core.errors import RlmError
from rlm_rs.mcp.advice import told
from rlm_rs.mcp.asking import CHECKED_CITATIONS, verified
from rlm_rs.mcp.cutting import PIECE_TOKENS, first
from rlm_rs.mcp.engine import Engine
from rlm_rs.mcp.host import reading
from rlm_rs.mcp.replies import Passage, citation_shown, place_of, reads_on

P = ParamSpec("P")

READ_CHARS = 4_000
"""Characters of a document that are read where no end is named."""

RESOURCE_CHARS = 50_000
DOCUMENT_URI = "rlm://sessions/{session_id}/documents/{doc_id}{?start_char,end_char}"
CITATION_URI = "rlm://executions/{execution_id}/citations/{number}"
ANSWER_URI = "rlm://executions/{execution_id}/answer"


async def citation_of(execution_id: str, number: int, engine: Engine) -> CitationView:
    """A citation of an execution by its number in the answer, from 1."""
    return _numbered(await engine.get_execution(execution_id), number)


async def around(execution_id: str, number: int, chars: int, engine: Engine) -> Passage:
    """The text a citation stands in."""
    cited = await citation_of(execution_id, number, engine)
    start, end = max(0, cited.start_char - chars), cited.end_char + chars
    passage = await between(cited.session_id, cited.doc_id, start, end, engine)
    return passage.model_copy(update={"cited_from": cited.start_char, "cited_to": cited.end_char})


async def between(
    session_id: str, doc_id: str, start_char: int, end_char: int | None, engine: Engine
) -> Passage:
    """A range of a document, as much of it as a reply holds."""
    document = _document(await engine.get_session(session_id), doc_id)
    wanted = end_char if end_char is not None else start_char + READ_CHARS
    # what a reply cannot hold is not fetched either
    end = min(wanted, start_char + PIECE_TOKENS * 3)
    span = await engine.get_span(
        SpanBody(session_id=session_id, doc_id=doc_id, start_char=start_char, end_char=max(start_char, end))
    )
    text = first(span.text, PIECE_TOKENS)
    last = span.ref.start_char + len(text)
    return Passage(
        session_id=session_id,
        doc_id=doc_id,
        source_name=document.source_name,
        text=text,
        start_char=span.ref.start_char,
        end_char=last,
        char_length=document.char_length,
        next=reads_on(session_id, doc_id, last) if last < document.char_length else None,
    )


def _numbered(execution: ExecutionOut, number: int) -> CitationView:
    if not 1 <= number <= len(execution.citations):
        raise ToolError(
            f"{execution.execution_id} has {len(execution.citations)} citations; {number} is none of them. "
            "rlm_get_execution lists them."
        )
    return execution.citations[number - 1]


def _document(session: SessionOut, doc_id: str) -> DocumentView:
    for document in session.docs:
        if document.doc_id == doc_id:
            return document
    raise ToolError(
        f"{session.session_id} has no document {doc_id[:200]}. rlm_get_session lists those it has."
    )


def _anticipated(read: Callable[P, Awaitable[str]]) -> Callable[P, Awaitable[str]]:
    """What is known to go wrong, as the SDK wants to be told of it by a resource."""

    @wraps(read)
    async def reads(*given: P.args, **named: P.kwargs) -> str:
        try:
            return await read(*given, **named)
        except ToolError as error:
            raise ResourceNotFoundError(str(error)) from error
        except RlmError as error:
            kind = ResourceNotFoundError if error.status == 404 else ResourceError
            raise kind(told(error.code, error.message)) from error

    return reads


@_anticipated
async def document_text(
    session_id: str, doc_id: str, ctx: Context, start_char: int = 0, end_char: int = 0
) -> str:
    """The text of a document, or a range of it; at most 50,000 characters at a time."""
    end = min(end_char or start_char + RESOURCE_CHARS, start_char + RESOURCE_CHARS)
    body = SpanBody(
        session_id=session_id, doc_id=doc_id, start_char=max(0, start_char), end_char=max(0, start_char, end)
    )
    return (await reading(ctx).get_span(body)).text


@_anticipated
async def citation(execution_id: str, number: int, ctx: Context) -> str:
    """A citation of an answer: where it stands, whether its checksum holds now, and its text.

    Of a longer text these are the first 50,000 characters, and `next` says where to read on.
    """
    engine = reading(ctx)
    cited = await citation_of(execution_id, number, engine)
    found = await verified(cited, engine)
    text = (found.text or "")[:RESOURCE_CHARS]
    value: dict[str, Any] = {
        "number": number,
        "valid": found.valid,
        "text": text,
        **citation_shown(cited).model_dump(mode="json"),
    }
    if len(text) < len(found.text or ""):
        value["next"] = (
            f"rlm://sessions/{cited.session_id}/documents/{cited.doc_id}"
            f"?start_char={cited.start_char + len(text)}&end_char={cited.end_char} reads on."
        )
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


@_anticipated
async def answer(execution_id: str, ctx: Context) -> str:
    """The whole answer of an execution, with its citations below it."""
    engine = reading(ctx)
    execution = await engine.get_execution(execution_id)
    shown = execution.citations[:CHECKED_CITATIONS]
    checked = await asyncio.gather(*(verified(item, engine) for item in shown))
    lines = [
        f"[{number}] {place_of(item)} ({item.support}, {'verified' if found.valid else 'NOT verified'})"
        for number, (item, found) in enumerate(zip(shown, checked, strict=True), start=1)
    ]
    return "\n\n".join([execution.answer or f"No answer: {execution.status}.", "\n".join(lines)])
