"""Readings of an execution's journal in the shapes of the API: steps and the code log."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import orjson

from rlm_rs.core.execution import Event, RootReplied, StepRan, SubcallResolved
from rlm_rs.orchestrator.client_requests import as_client_sees
from rlm_rs.sandbox.protocol import Final, SpanEntry, StepResult, SubcallRequest


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
    steps: list[StepRan] = []
    spent: dict[int, dict[str, float]] = {}
    for _, event in events:
        match event:
            case StepRan() if event.result.status == "finished":
                steps.append(event)
            case RootReplied():
                _spend(spent, event.turn, "root_call_ms", event.seconds)
            case SubcallResolved():
                _spend(spent, event.turn, "tool_resolve_ms", event.seconds)
    return [_step(step, spent.get(step.turn, {})) for step in steps]


def _spend(spent: dict[int, dict[str, float]], turn: int, name: str, seconds: float) -> None:
    timings = spent.setdefault(turn, {})
    timings[name] = round(timings.get(name, 0.0) + seconds * 1000, 3)


def _step(event: StepRan, timings: Mapping[str, float]) -> dict[str, Any]:
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
        "timings": {**timings, "sandbox_ms": round(result.usage.wall_seconds * 1000, 3)},
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
    content: dict[str, Any] = {"key": request.key, "prompt": request.prompt, "metadata": request.metadata}
    if request.kind == "search":
        content |= {"k": request.k, "filters": request.filters}
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
