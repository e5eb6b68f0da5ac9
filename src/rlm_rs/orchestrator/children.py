"""Child executions: `rlm_query` runs the same loop over all or part of the parent's documents."""

from __future__ import annotations

import time
from dataclasses import replace

from rlm_rs.core.budget import Spend
from rlm_rs.core.errors import Fenced
from rlm_rs.core.execution import Execution, Finished, Parent, Run
from rlm_rs.core.records import ExecutionStatus
from rlm_rs.core.spans import SpanRef
from rlm_rs.orchestrator.scope import CUT_NOTICE_CHARS, passed_on, scope_of
from rlm_rs.orchestrator.subcalls import Fanout, Outcome, ask_sub_model, share_of
from rlm_rs.sandbox.protocol import SpanEntry, SubcallRequest, SubcallResult

CHILD_TAG = "child"
PROMPT_TAG = "prompt"
"""Marks what was put into a prompt without step code reading it."""


async def run_child(fanout: Fanout, request: SubcallRequest) -> Outcome:
    """Resolve an `rlm` sub-call; past max_depth it is a single sub-model call over the same text."""
    if fanout.run.execution.budgets.max_depth <= 0:
        return await _ask_instead(fanout, request)
    child = await _begun(child_execution(fanout, request), fanout)
    return _outcome(request, await fanout.answer(child, fanout.corpus, fanout.ports))


async def _begun(execution: Execution, fanout: Fanout) -> Run:
    """A child's journal. Raises `Fenced` if its parent was removed: nobody would find the child again."""
    log, parent = fanout.ports.log, fanout.run
    child = await log.start(execution)
    if not await log.exists(parent.execution.execution_id, parent.seq):
        await log.remove(execution.tenant_id, execution.execution_id)
        raise Fenced(execution_id=parent.execution.execution_id)
    return child


def child_execution(fanout: Fanout, request: SubcallRequest) -> Execution:
    """The child of this call: the same call after a crash finds the same child again."""
    parent = fanout.run.execution
    views, texts = passed_on(parent, request)
    return replace(
        parent,
        execution_id=f"{parent.execution_id}-{request.key}",
        question=request.prompt,
        budgets=share_of(fanout, request),
        output_mode="ANSWER",
        depth=parent.depth + 1,
        parent=Parent(parent.execution_id, request.key),
        views=views,
        texts=texts,
        created_at=time.time(),
        output_schema=None,
        # texts alone are in no index
        search_enabled=parent.search_enabled and views != (),
        earlier=None,
    )


def _outcome(request: SubcallRequest, child: Run) -> Outcome:
    end = child.finished
    if end is None:
        raise ValueError("a child execution that was answered has finished")
    answered = end.answer is not None
    text = end.answer if end.answer is not None else f"ERROR: {_reason(end)}"
    meta = {"execution_id": child.execution.execution_id, "status": str(end.status), "partial": end.partial}
    return Outcome(
        SubcallResult(
            request.key, request.digest(), "resolved" if answered else "error", text=text, meta=meta
        ),
        replace(
            child.spend,
            turns=0,
            child_turns=child.spend.child_turns + child.spend.turns,
            spans=0,
            llm_subcalls=child.spend.llm_subcalls + 1,
            rlm_subcalls=child.spend.rlm_subcalls + 1,
            prompt_chars=child.spend.prompt_chars + len(request.prompt),
        ),
        child_id=child.execution.execution_id,
        citations=tuple(_span(citation.ref) for citation in end.citations),
    )


def _reason(end: Finished) -> str:
    return (
        f"{end.error.code}: {end.error.message}" if end.error else f"{ExecutionStatus(end.status)}: no answer"
    )


def _span(ref: SpanRef) -> SpanEntry:
    return SpanEntry(ref.doc_index, ref.start_char, ref.end_char, CHILD_TAG)


async def _ask_instead(fanout: Fanout, request: SubcallRequest) -> Outcome:
    """Put the text itself into one prompt, as much as fits; what was read for it can be cited."""
    scope = scope_of(fanout.run.execution, fanout.corpus, request)
    room = max(0, fanout.run.execution.budgets.max_llm_prompt_chars - len(request.prompt) - CUT_NOTICE_CHARS)
    fitting = scope.first(room)
    parts = [request.prompt, *fitting.texts]
    for place in fitting.places:
        document = fanout.corpus.documents[place.doc_index]
        parts.append(await fanout.ports.texts.read(document, place.start_char, place.end_char))
    if scope.char_length > room:
        parts.append(f"(The text is cut here: it has {scope.char_length:,} characters, and {room:,} fit.)")
    outcome = await ask_sub_model(fanout, replace(request, kind="llm", prompt="\n\n".join(parts)))
    return replace(
        outcome,
        result=replace(outcome.result, digest=request.digest()),
        citations=tuple(SpanEntry(p.doc_index, p.start_char, p.end_char, PROMPT_TAG) for p in fitting.places),
        spend=outcome.spend.plus(Spend(rlm_subcalls=1)),
    )
