"""Readings of an execution's journal in the shapes of the API: steps, the code log, the trace."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from rlm_rs.core.corpus import Corpus
from rlm_rs.core.execution import Event, RootReplied, Run, StepRan, SubcallResolved, Turn
from rlm_rs.core.spans import is_scan
from rlm_rs.orchestrator.client_requests import as_client_sees
from rlm_rs.orchestrator.event_log import event_data
from rlm_rs.sandbox.protocol import Final, SpanEntry, StepResult, SubcallRequest

TRACE_VERSION = "rlm_trace_v1"
REDACTED = "[REDACTED]"


def final_of(final: Final | None, yielded: str | None = None) -> dict[str, Any] | None:
    """FINAL or YIELD as the seed shows it: a yield is a final that is not one."""
    if final is not None:
        return {"is_final": True, "answer": final.answer, "value": final.value}
    return {"is_final": False, "answer": yielded} if yielded is not None else None


def error_of(step: StepResult) -> dict[str, Any] | None:
    """A step's error: code, message, and where in its own code."""
    return asdict(step.error) if step.error else None


def span_log(spans: Iterable[SpanEntry]) -> list[dict[str, Any]]:
    """Spans as JSON values."""
    return [asdict(span) for span in spans]


def steps_of(events: Iterable[tuple[int, Event]]) -> list[dict[str, Any]]:
    """Every finished step, in order; one that failed is among them."""
    return [
        _step(event)
        for _, event in events
        if isinstance(event, StepRan) and event.result.status == "finished"
    ]


def _step(event: StepRan) -> dict[str, Any]:
    result = event.result
    state = orjson.dumps(result.state, option=orjson.OPT_SORT_KEYS)
    return {
        "turn_index": event.turn,
        "updated_at": event.at,
        "success": result.error is None,
        "stdout": result.stdout,
        "state": dict(result.state),
        "span_log": span_log(result.spans),
        "tool_requests": as_client_sees(result.requests),
        "final": final_of(result.final, result.yielded),
        "error": error_of(result),
        "checksum": f"sha256:{hashlib.sha256(state).hexdigest()}",
        "summary": {"byte_length": len(state), "char_length": len(state.decode())},
        "timings": {"sandbox_ms": round(result.usage.wall_seconds * 1000, 3)},
    }


def code_log(execution_id: str, events: Iterable[tuple[int, Event]]) -> list[dict[str, Any]]:
    """What was written and asked, in order: root replies, requests of steps, their results."""
    entries = (entry for _, event in events for entry in _entries(event))
    return [
        {"execution_id": execution_id, "sequence": number, **entry} for number, entry in enumerate(entries)
    ]


def _entries(event: Event) -> Iterator[dict[str, Any]]:
    match event:
        case RootReplied():
            yield _root_entry(event)
        case StepRan():
            for request in event.result.requests:
                yield _request_entry(event, request)
        case SubcallResolved():
            yield _result_entry(event)
        case _:
            return


def _root_entry(event: RootReplied) -> dict[str, Any]:
    written = event.code is not None or event.final is not None
    kind = "REPL" if written else "REPL_PARSE_ERROR"
    content = event.code if event.code is not None else event.text
    return _entry(event, event.turn, "ROOT", kind, model_name=event.model, content=content)


def _request_entry(event: StepRan, request: SubcallRequest) -> dict[str, Any]:
    content = {"key": request.key, "prompt": request.prompt, "metadata": request.metadata}
    return _entry(event, event.turn, "TOOL", "TOOL_REQUEST", request.model, request.kind, content)


def _result_entry(event: SubcallResolved) -> dict[str, Any]:
    result, kind = event.result, event.request.kind
    found: Any = list(result.hits) if kind == "search" else result.text
    content = {"key": result.key, "status": result.status, "hits" if kind == "search" else "text": found}
    model = str(result.meta["model"]) if result.meta.get("model") else event.request.model
    source = "TOOL" if kind in ("search", "tool") else "SUB"
    return _entry(event, event.turn, source, "TOOL_RESULT", model, kind, content)


def _entry(
    event: Event,
    turn: int,
    source: str,
    kind: str,
    model_name: str | None = None,
    tool_type: str | None = None,
    content: Any = None,
) -> dict[str, Any]:
    return {
        "turn_index": turn,
        "created_at": event.at,
        "source": source,
        "kind": kind,
        "model_name": model_name or None,
        "tool_type": tool_type,
        "content": content,
    }


def trace_of(run: Run, corpus: Corpus, *, redact: bool = False) -> dict[str, Any]:
    """The `rlm_trace_v1` artefact of an execution so far. redact: no word that anyone wrote or read."""
    trace = {
        "schema_version": TRACE_VERSION,
        "execution": _execution(run),
        "session": {"session_id": corpus.session_id, "tenant_id": corpus.tenant_id},
        "documents": [_document(document) for document in corpus.documents],
        "turns": [_turn(turn) for turn in run.turns],
        "parse_errors": [_parse_error(turn) for turn in run.turns if turn.reply.problem],
        "metrics": _metrics(run),
    }
    return _redacted(trace) if redact else trace


def _execution(run: Run) -> dict[str, Any]:
    execution, end = run.execution, run.finished
    outcome = event_data(end) if end else None
    return {
        **event_data_of_execution(run),
        "status": str(end.status) if end else "RUNNING",
        "started_at": execution.created_at,
        "outcome": outcome,
        "budgets_consumed": asdict(run.spend),
    }


def event_data_of_execution(run: Run) -> dict[str, Any]:
    """What the execution was started with, as JSON values."""
    execution = run.execution
    return {
        "execution_id": execution.execution_id,
        "session_id": execution.session_id,
        "mode": execution.mode,
        "output_mode": execution.output_mode,
        "question": execution.question,
        "models": {"root_model": execution.models.root, "sub_model": execution.models.sub},
        "budgets_requested": asdict(execution.budgets),
    }


def _document(document: Any) -> dict[str, Any]:
    names = ("doc_id", "doc_index", "source_name", "mime_type", "char_length", "text_checksum")
    return {name: getattr(document, name) for name in names}


def _turn(turn: Turn) -> dict[str, Any]:
    reply, step = turn.reply, turn.step
    return {
        "turn_index": turn.index,
        "root_model": reply.model,
        "root_prompt_version": reply.prompt_version,
        "root_reply": reply.text,
        "repl_code": reply.code,
        "usage": asdict(reply.usage) if reply.usage else None,
        "step": _traced_step(step) if step else None,
        "span_log": span_log(step.spans) if step else [],
        "tool_requests": as_client_sees(step.requests if step else ()),
        "tool_results": [_subcall(subcall) for subcall in turn.subcalls],
        "timings": {
            "root_call_ms": round(reply.seconds * 1000, 3),
            "sandbox_ms": round(step.usage.wall_seconds * 1000, 3) if step else None,
        },
    }


def _traced_step(step: StepResult) -> dict[str, Any]:
    return {
        "success": step.error is None,
        "stdout": step.stdout,
        "final": final_of(step.final, step.yielded),
        "error": error_of(step),
    }


def _subcall(subcall: SubcallResolved) -> dict[str, Any]:
    result = subcall.result
    return {
        "key": result.key,
        "kind": subcall.request.kind,
        "prompt": subcall.request.prompt,
        "status": result.status,
        "text": result.text,
        "hits": list(result.hits),
        "cache_hit": subcall.cache_hit,
        "spend": asdict(subcall.spend),
        "seconds": subcall.seconds,
    }


def _parse_error(turn: Turn) -> dict[str, Any]:
    return {"turn_index": turn.index, "message": turn.reply.problem, "text": turn.reply.text}


def _metrics(run: Run) -> dict[str, Any]:
    steps = [turn.step for turn in run.turns if turn.step]
    read = [span for span in run.spans if not is_scan(span)]
    scanned = [span for span in run.spans if is_scan(span)]
    return {
        "turns": run.spend.turns,
        "parse_errors": sum(turn.reply.problem is not None for turn in run.turns),
        "step_errors": sum(step.error is not None for step in steps),
        "span_chars": _chars(read),
        "scan_chars": _chars(scanned),
        "docs_touched": len({span.doc_index for span in read}),
        "llm_subcalls": run.spend.llm_subcalls,
        "search_requests": run.spend.searches,
        "total_subcall_prompt_chars": run.spend.prompt_chars,
    }


def _chars(spans: Sequence[SpanEntry]) -> int:
    return sum(span.end_char - span.start_char for span in spans)


# what says nothing of a question, a document or an answer
_KEPT = frozenset(
    {
        *("schema_version", "execution_id", "session_id", "tenant_id", "doc_id", "mode", "output_mode"),
        *("status", "root_model", "sub_model", "root_prompt_version", "kind", "code", "type", "mime_type"),
        *("checksum", "text_checksum", "support"),
    }
)


def _redacted(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _redacted(inner, key) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(inner, name) for inner in value]
    return REDACTED if isinstance(value, str) and name not in _KEPT else value
