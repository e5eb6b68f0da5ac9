"""The trace artefact from an execution's events: a pure reading, the same journal gives the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import accumulate
from typing import Any

import orjson

from rlm_rs.core.corpus import Corpus, Document
from rlm_rs.core.execution import Event, RootReplied, Run, Started, SubcallResolved, Turn, begun
from rlm_rs.core.model import Message
from rlm_rs.core.prompts.render import budget_snapshot, shape_of
from rlm_rs.core.records import SessionRecord
from rlm_rs.orchestrator.client_requests import as_client_sees
from rlm_rs.orchestrator.event_log import event_data
from rlm_rs.orchestrator.ports import Ports
from rlm_rs.orchestrator.tracing.metrics import metrics_of, models_used
from rlm_rs.orchestrator.tracing.prompts import sent_prompt
from rlm_rs.sandbox.protocol import Final, StepResult, SubcallRequest

TRACE_VERSION = "rlm_trace_v1"
PROMPT_CHARS = 64_000_000
"""Characters of root prompts a trace holds: each has the turns before it once more, and they add up."""

UNSEALED = ("checksum", "evaluation")
"""What the checksum does not cover: itself, and what is only known later and may change."""


async def trace_of(
    events: Sequence[Event],
    corpus: Corpus,
    session: SessionRecord | None,
    ports: Ports,
    *,
    prompt_chars: int = PROMPT_CHARS,
) -> dict[str, Any]:
    """The artefact of an execution as far as these events go, sealed with its checksum.

    prompt_chars: root prompts beyond so many characters are left out.
    """
    runs = _runs(events)
    run = runs[-1]
    turns, room = [], prompt_chars
    for turn, before, after in zip(run.turns, *_around_turns(events, runs), strict=True):
        messages = await sent_prompt(turn.reply, before, corpus, ports) if room > 0 else None
        room -= turn.reply.prompt_chars
        turns.append(_turn(turn, before, after, messages, corpus))
    return sealed(
        {
            "schema_version": TRACE_VERSION,
            "execution": _execution(run),
            "session": _session(corpus, session),
            "documents": [_document(document) for document in corpus.documents],
            "evaluation": None,
            "turns": turns,
            "parse_errors": [_parse_error(turn) for turn in run.turns if turn.reply.problem],
            "metrics": metrics_of(run),
            "models": models_used(run),
        }
    )


def sealed(trace: Mapping[str, Any]) -> dict[str, Any]:
    """The trace with the checksum of its present content."""
    return {**trace, "checksum": trace_checksum(trace)}


def trace_checksum(trace: Mapping[str, Any]) -> str:
    """`sha256:` and hex over the canonical JSON (keys sorted, no spaces, UTF-8) of all but UNSEALED."""
    content = canonical({name: value for name, value in trace.items() if name not in UNSEALED})
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def canonical(value: Any) -> bytes:
    """Canonical JSON: keys sorted, no spaces, UTF-8."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _runs(events: Sequence[Event]) -> list[Run]:
    """The run after each event."""
    first = events[0]
    if not isinstance(first, Started):
        raise ValueError(f"a journal starts with Started, not {first.type}")
    return list(accumulate(events[1:], lambda run, event: run.apply(event), initial=begun(first.execution)))


def _around_turns(events: Sequence[Event], runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """The run each root reply went on from, and the run when its turn was over."""
    starts = [number for number, event in enumerate(events) if isinstance(event, RootReplied)]
    ends = [*(number - 1 for number in starts[1:]), len(events) - 1][: len(starts)]
    return [runs[number - 1] for number in starts], [runs[number] for number in ends]


def _execution(run: Run) -> dict[str, Any]:
    execution, end = run.execution, run.finished
    return {
        "execution_id": execution.execution_id,
        "session_id": execution.session_id,
        "tenant_id": execution.tenant_id,
        "parent_id": execution.parent.execution_id if execution.parent else None,
        "depth": execution.depth,
        "mode": execution.mode,
        "output_mode": execution.output_mode,
        "context_shape": execution.context_shape,
        "status": str(end.status) if end else "RUNNING",
        "question": execution.question,
        "earlier": [asdict(exchange) for exchange in execution.earlier.exchanges]
        if execution.earlier
        else [],
        "output_schema": execution.output_schema,
        "options": dict(execution.options),
        "models": {"root_model": execution.models.root, "sub_model": execution.models.sub},
        "budgets_requested": asdict(execution.budgets),
        "budgets_consumed": asdict(run.spend),
        "started_at": execution.created_at,
        "completed_at": end.at if end else None,
        **_outcome(run),
    }


def _outcome(run: Run) -> dict[str, Any]:
    end = event_data(run.finished) if run.finished else {}
    return {
        "answer": end.get("answer"),
        "value": end.get("value"),
        "partial": bool(end.get("partial")),
        "error": end.get("error"),
        "citations": end.get("citations", []),
        "contexts": end.get("contexts", []),
    }


def _session(corpus: Corpus, session: SessionRecord | None) -> dict[str, Any]:
    return {
        "session_id": corpus.session_id,
        "tenant_id": corpus.tenant_id,
        "created_at": session.created_at if session else None,
        "options": dict(session.options) if session else {},
        "models_default": dict(session.models_default) if session else {},
        "budgets_default": dict(session.budgets_default) if session else {},
    }


def _document(document: Document) -> dict[str, Any]:
    names = ("doc_id", "doc_index", "source_name", "mime_type", "char_length", "byte_length")
    found = {name: getattr(document, name) for name in (*names, "page_count", "text_checksum")}
    return {**found, "ingest_status": str(document.ingest_status)}


def _turn(
    turn: Turn, before: Run, after: Run, messages: Sequence[Message] | None, corpus: Corpus
) -> dict[str, Any]:
    reply, step = turn.reply, turn.step
    return {
        "turn_index": turn.index,
        **_prompt(messages, reply.prompt_version),
        "root_prompt_inputs": _inputs(before, corpus) if messages else None,
        "budget_snapshot": {"limits": asdict(before.execution.budgets), "spend": asdict(before.spend)},
        "root_model": reply.model,
        "root_reply": reply.text,
        "root_reasoning": reply.reasoning,
        "usage": asdict(reply.usage) if reply.usage else None,
        "cost_usd": reply.cost_usd,
        "cache_hit": reply.cache_hit,
        "exhausted": reply.exhausted,
        "reply_final": _final(reply.final),
        "repl_code": reply.code,
        "step": _step(step) if step else None,
        "span_log": [asdict(span) for span in step.spans] if step else [],
        "tool_requests": _requests(turn),
        "tool_results": _results(turn.subcalls),
        "tool_status": {request.key: _status(request, turn) for request in _asked(turn)},
        "state_summary": _state_summary(after),
        "state_checksum": f"sha256:{hashlib.sha256(canonical(after.state)).hexdigest()}",
        "timings": _timings(turn, before, after),
    }


def _prompt(messages: Sequence[Message] | None, version: str) -> dict[str, Any]:
    """The prompt as one text, and where in it each message stands."""
    places, at = [], 0
    for message in messages or ():
        places.append({"role": message.role, "start_char": at, "end_char": at + len(message.content)})
        at += len(message.content) + len(BETWEEN_MESSAGES)
    text = BETWEEN_MESSAGES.join(message.content for message in messages) if messages else None
    return {"root_prompt": text, "root_prompt_messages": places, "root_prompt_version": version or None}


BETWEEN_MESSAGES = "\n\n"


def prompt_messages(turn: Mapping[str, Any]) -> list[dict[str, str]]:
    """The messages of a traced turn's root prompt; empty where none was sent or it is lost."""
    text, places = turn["root_prompt"], turn["root_prompt_messages"]
    if text is None:
        return []
    return [{"role": p["role"], "content": text[p["start_char"] : p["end_char"]]} for p in places]


def _inputs(before: Run, corpus: Corpus) -> dict[str, Any]:
    last = before.turns[-1].step if before.turns else None
    return {
        "question": before.execution.question,
        "doc_count": len(corpus.documents),
        "doc_lengths_chars": [document.char_length for document in corpus.documents],
        "budget_snapshot": budget_snapshot(before),
        "last_stdout": last.stdout if last else None,
        "last_error": last.error.message if last and last.error else None,
        "state_summary": _state_summary(before),
    }


def _state_summary(run: Run) -> dict[str, Any]:
    """Names, types and sizes of what is kept; never values."""
    return {
        "state": {name: shape_of(value) for name, value in run.state.items()},
        "variables": sorted(run.variables),
    }


def _step(step: StepResult) -> dict[str, Any]:
    return {
        "success": step.error is None,
        "stdout": step.stdout,
        "stdout_dropped": step.stdout_dropped,
        "tool_requests": as_client_sees(step.requests),
        "final": _final(step.final, step.yielded),
        "error": asdict(step.error) if step.error else None,
        "not_kept": list(step.not_kept),
        "cites": [asdict(cite) for cite in step.cites],
    }


def _final(final: Final | None, yielded: str | None = None) -> dict[str, Any] | None:
    """FINAL or YIELD as the seed shows it: a yield is a final that is not one."""
    if final is not None:
        return {"is_final": True, "answer": final.answer, "value": final.value}
    return {"is_final": False, "answer": yielded, "value": None} if yielded is not None else None


def _asked(turn: Turn) -> tuple[SubcallRequest, ...]:
    """Every sub-call of a turn: those of calls that return, then those that were queued."""
    answered = tuple(subcall.request for subcall in turn.subcalls)
    known = {request.key for request in answered}
    return (*answered, *(r for r in (turn.step.requests if turn.step else ()) if r.key not in known))


def _requests(turn: Turn) -> dict[str, list[dict[str, Any]]]:
    """As the seed lists them, and whether the call returned to the code that made it."""
    called = {request.key: request.called for request in _asked(turn)}
    listed = as_client_sees(_asked(turn))
    return {
        kind: [{**item, "called": called[item["key"]]} for item in items] for kind, items in listed.items()
    }


def _results(subcalls: Sequence[SubcallResolved]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {"llm": {}, "search": {}}
    for subcall in subcalls:
        result, meta = subcall.result, _meta(subcall)
        if subcall.request.kind == "search":
            found["search"][result.key] = {"hits": [dict(hit) for hit in result.hits], "meta": meta}
        else:
            found["llm"][result.key] = {"text": result.text, "meta": meta}
    return found


def _meta(subcall: SubcallResolved) -> dict[str, Any]:
    return {
        **subcall.result.meta,
        "status": subcall.result.status,
        "cache_hit": subcall.cache_hit,
        "spend": asdict(subcall.spend),
        "child_id": subcall.child_id,
        "citations": [asdict(span) for span in subcall.citations],
        "seconds": subcall.seconds,
    }


def _status(request: SubcallRequest, turn: Turn) -> str:
    return next((s.result.status for s in turn.subcalls if s.request.key == request.key), "pending")


def _timings(turn: Turn, before: Run, after: Run) -> dict[str, float | None]:
    """Milliseconds of the root call, the step's own work, its sub-calls added up, and the whole turn."""
    step = turn.step
    return {
        "root_call_ms": _ms(turn.reply.seconds),
        "sandbox_ms": _ms(step.usage.wall_seconds) if step else None,
        "tool_resolve_ms": _ms(sum(subcall.seconds for subcall in turn.subcalls)),
        "turn_ms": _ms(after.spend.seconds - before.spend.seconds),
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _parse_error(turn: Turn) -> dict[str, Any]:
    return {"turn_index": turn.index, "message": turn.reply.problem, "text": turn.reply.text}
