"""The one place that writes outcomes: status, answer, citations."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from rlm_rs.core.citing import Citation, Cited, ContextItem, Passage, named, supported
from rlm_rs.core.corpus import Corpus, Document
from rlm_rs.core.execution import Finished, Problem, Run
from rlm_rs.core.records import ExecutionRecord, ExecutionStatus
from rlm_rs.core.spans import Range, SpanRef, checksum, is_context, merge, read_ranges
from rlm_rs.orchestrator.children import CHILD_TAG, PROMPT_TAG
from rlm_rs.orchestrator.ports import Ports
from rlm_rs.orchestrator.tracing.stored import keep_trace
from rlm_rs.sandbox.protocol import Cite

PARTIAL = "The budget ran out before the work was done; this is the best answer from what was seen."

CANCELLED = "Somebody asked for it to stop before there was an answer."


async def finish(run: Run, corpus: Corpus, ports: Ports, problem: Problem | None = None) -> Run:
    """Write the outcome of an execution and its trace, and bring its catalog row up to date.

    Child executions have no row and no stored trace: they are found through their parent's journal.
    """
    if run.finished is None:
        run = await ports.log.append(run, await outcome(run, corpus, ports, problem))
    await ports.sandbox.drop(run.execution.execution_id)
    if run.execution.parent is None:
        # before the row: a session that is removed waits for the rows of what still runs
        if ports.keep_traces:
            await keep_trace(run, ports)
        await ports.catalog.put_execution(record_of(run))
    return run


async def outcome(run: Run, corpus: Corpus, ports: Ports, problem: Problem | None) -> Finished:
    """What the run ends with."""
    if problem is not None:
        return Finished(status=ExecutionStatus.FAILED, error=problem)
    if run.cancel_requested and run.final is None:
        return Finished(status=ExecutionStatus.CANCELLED, error=Problem("CANCELLED", CANCELLED))
    status = ExecutionStatus(run.exhausted) if run.exhausted else ExecutionStatus.COMPLETED
    error = Problem(run.exhausted, PARTIAL) if run.exhausted else None
    if run.execution.output_mode == "CONTEXTS":
        items = await contexts(run, corpus, ports)
        refs = await asyncio.gather(*(_citation(_whole(item), run, corpus, ports) for item in items))
        return Finished(
            status=status, partial=bool(error), error=error, contexts=tuple(items), citations=tuple(refs)
        )
    if run.final is None:
        reason = run.turns[-1].reply.problem if run.turns else None
        return Finished(status=status, error=Problem(str(status), reason or "No answer was reached."))
    return Finished(
        status=status,
        answer=run.final.answer,
        value=run.final.value,
        partial=bool(error),
        error=error,
        citations=tuple(await citations(run, corpus, ports)),
    )


async def citations(run: Run, corpus: Corpus, ports: Ports) -> list[Citation]:
    """What the answer rests on, best supported first; only what was read, in documents that still stand."""
    answer = run.final.answer if run.final else ""
    reads = [r for r in read_ranges(run.spans) if _citable(r, corpus)]
    seen = await evidence(run, corpus, ports)
    own = _own_cites(run, reads)
    if own:
        texts = await _texts({_place(cite) for cite in own}, corpus, ports)
        listed = await asyncio.to_thread(named, own, texts, answer)
        children = [r for r in _child_ranges(run) if not any(cited.range.contains(r) for cited in listed)]
        passages = await _passages(children, corpus, ports)
        found = [*listed, *await asyncio.to_thread(supported, passages, answer, seen)]
    else:
        passages = await _passages(reads, corpus, ports, ports.merge_gap_chars)
        found = await asyncio.to_thread(supported, passages, answer, seen)
    return list(await asyncio.gather(*(_citation(cited, run, corpus, ports) for cited in found)))


async def evidence(run: Run, corpus: Corpus, ports: Ports) -> str:
    """All text that reached a model: what was printed, the prompts of sub-calls, what was put into them."""
    subcalls = [subcall for turn in run.turns for subcall in turn.subcalls]
    parts = [turn.step.stdout for turn in run.turns if turn.step]
    parts += [subcall.request.prompt for subcall in subcalls]
    prompted = [span for subcall in subcalls for span in subcall.citations if span.tag == PROMPT_TAG]
    parts += (await _texts(set(read_ranges(prompted)), corpus, ports)).values()
    return "\n".join(parts)


def _own_cites(run: Run, reads: Sequence[Range]) -> list[Cite]:
    """What step code cited itself and had read: a place it never read cannot be cited."""
    read = merge(reads)
    return [cite for cite in run.cites if any(r.contains(_place(cite)) for r in read) and _place(cite).length]


def _place(cite: Cite) -> Range:
    return Range(cite.doc_index, cite.start_char, cite.end_char)


def _whole(item: ContextItem) -> Cited:
    return Cited(Range(item.ref.doc_index, item.ref.start_char, item.ref.end_char), "read")


async def contexts(run: Run, corpus: Corpus, ports: Ports) -> list[ContextItem]:
    """The spans tagged `context`, each range once, in discovery order."""
    items: dict[Range, ContextItem] = {}
    for turn in run.turns:
        for span_index, span in enumerate(turn.step.spans if turn.step else ()):
            place = Range(span.doc_index, span.start_char, span.end_char)
            if not is_context(span) or place in items or not _citable(place, corpus):
                continue
            document = corpus.documents[place.doc_index]
            text = await ports.texts.read(document, place.start_char, place.end_char)
            items[place] = ContextItem(
                sequence_index=len(items),
                turn_index=turn.index,
                span_index=span_index,
                tag=span.tag or "",
                text=text,
                text_char_length=len(text),
                source_name=document.source_name,
                mime_type=document.mime_type,
                ref=_ref(place, text, run, document),
            )
    return list(items.values())


def _citable(place: Range, corpus: Corpus) -> bool:
    inside = 0 <= place.doc_index < len(corpus.documents) and 0 <= place.start_char < place.end_char
    return inside and place.end_char <= corpus.documents[place.doc_index].char_length


def _child_ranges(run: Run) -> list[Range]:
    spans = [span for turn in run.turns for subcall in turn.subcalls for span in subcall.citations]
    return read_ranges(span for span in spans if span.tag == CHILD_TAG)


async def _texts(places: set[Range], corpus: Corpus, ports: Ports) -> dict[Range, str]:
    ordered = sorted(places)
    texts = await asyncio.gather(
        *(ports.texts.read(corpus.documents[p.doc_index], p.start_char, p.end_char) for p in ordered)
    )
    return dict(zip(ordered, texts, strict=True))


async def _passages(
    reads: Sequence[Range], corpus: Corpus, ports: Ports, merge_gap_chars: int = 0
) -> list[Passage]:
    """Merged ranges with their texts, in the order they were first read."""
    merged = merge(reads, merge_gap_chars)
    texts = await _texts(set(merged), corpus, ports)
    inside: dict[Range, dict[Range, None]] = {}
    for read in reads:
        # the merged range that holds it is the last one that begins no later
        holder = merged[bisect_right(merged, (read.doc_index, read.start_char), key=_begin) - 1]
        inside.setdefault(holder, {})[read] = None
    return [Passage(place, texts[place], tuple(within)) for place, within in inside.items()]


def _begin(place: Range) -> tuple[int, int]:
    return place.doc_index, place.start_char


async def _citation(cited: Cited, run: Run, corpus: Corpus, ports: Ports) -> Citation:
    place = cited.range
    document = corpus.documents[place.doc_index]
    text = await ports.texts.read(document, place.start_char, place.end_char)
    page = await ports.texts.page_of(document, place.start_char)
    return Citation(_ref(place, text, run, document), document.source_name, cited.support, page, cited.note)


def _ref(place: Range, text: str, run: Run, document: Document) -> SpanRef:
    execution = run.execution
    return SpanRef(
        execution.tenant_id,
        execution.session_id,
        document.doc_id,
        document.doc_index,
        place.start_char,
        place.end_char,
        checksum(text),
    )


def record_of(run: Run) -> ExecutionRecord:
    """The catalog row of an execution as its journal has it."""
    execution, end = run.execution, run.finished
    return replace(
        ExecutionRecord(
            tenant_id=execution.tenant_id,
            session_id=execution.session_id,
            execution_id=execution.execution_id,
            status=end.status if end else ExecutionStatus.RUNNING,
            question=execution.question,
            created_at=execution.created_at,
            parent_id=execution.parent.execution_id if execution.parent else None,
            mode=execution.mode,
            output_mode=execution.output_mode,
        ),
        finished_at=end.at if end else None,
        turns=run.spend.turns,
        cost_usd=run.spend.cost_usd,
    )
