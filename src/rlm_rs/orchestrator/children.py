"""Child executions: `rlm_query` runs the same loop over all or part of the parent's documents."""

from __future__ import annotations

import time
from dataclasses import replace

from rlm_rs.core.budget import Spend, child_budgets
from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import BudgetExceeded
from rlm_rs.core.execution import Execution, Finished, Parent, Run
from rlm_rs.core.records import ExecutionStatus
from rlm_rs.core.spans import SpanRef
from rlm_rs.orchestrator.subcalls import Fanout, Outcome, ask_sub_model
from rlm_rs.sandbox.protocol import SpanEntry, SubcallRequest, SubcallResult, View

CHILD_TAG = "child"


async def run_child(fanout: Fanout, request: SubcallRequest) -> Outcome:
    """Resolve an `rlm` sub-call; past max_depth it is a single sub-model call over the same text."""
    if fanout.run.execution.budgets.max_depth <= 0:
        return await _ask_instead(fanout, request)
    child = await fanout.ports.log.start(child_execution(fanout, request))
    if child.finished is None:
        child = await fanout.answer(child, fanout.corpus, fanout.ports)
    return _outcome(request, child)


def child_execution(fanout: Fanout, request: SubcallRequest) -> Execution:
    """The child of this call: the same call after a crash finds the same child again."""
    parent = fanout.run.execution
    return replace(
        parent,
        execution_id=f"{parent.execution_id}-{request.key}",
        question=request.prompt,
        budgets=child_budgets(parent.budgets, fanout.run.spend, fanout.siblings),
        output_mode="ANSWER",
        depth=parent.depth + 1,
        parent=Parent(parent.execution_id, request.key),
        views=request.views if request.views is not None else (() if request.text else parent.views),
        texts=request.text or (() if request.views is not None else parent.texts),
        created_at=time.time(),
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
    """Put the text itself into one prompt; what was read for it can be cited."""
    corpus, execution = fanout.corpus, fanout.run.execution
    views = request.views if request.views is not None else (() if request.text else execution.views)
    if views is None:
        views = tuple(View(d.doc_index) for d in corpus.documents if d.readable)
    room = execution.budgets.max_llm_prompt_chars - len(request.prompt)
    parts, spans = list(request.text or ()), []
    for view in views:
        size = room - sum(map(len, parts))
        if size <= 0:
            raise BudgetExceeded(budget="max_depth", limit=0)
        span = _read_span(corpus, view, size)
        parts.append(
            await fanout.ports.texts.read(corpus.documents[view.doc_index], span.start_char, span.end_char)
        )
        spans.append(span)
    asked = replace(request, kind="llm", prompt="\n\n".join([request.prompt, *parts]))
    outcome = await ask_sub_model(fanout, asked)
    result = replace(outcome.result, digest=request.digest())
    return replace(
        outcome, result=result, citations=tuple(spans), spend=outcome.spend.plus(Spend(rlm_subcalls=1))
    )


def _read_span(corpus: Corpus, view: View, size: int) -> SpanEntry:
    length = corpus.documents[view.doc_index].char_length
    end = length if view.end_char is None else min(view.end_char, length)
    return SpanEntry(view.doc_index, view.start_char, min(end, view.start_char + size), "subcall")
