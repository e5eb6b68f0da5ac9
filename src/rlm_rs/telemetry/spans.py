"""A journal read as spans: execution, its turns, and in each the model call, the step and the sub-calls.

Nothing is kept between events. A span's ids follow from the execution's, so that a worker that goes on with
what another began adds to the same trace, and its times follow from the events.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from rlm_rs.core.budget import Spend
from rlm_rs.core.execution import Event, Execution, Finished, RootReplied, Run, StepRan, SubcallResolved
from rlm_rs.telemetry import genai

AGENT = "rlm"
STEP_TOOL = "python"
CLIENT_MODEL = "client"
CONTENT_CHARS = 32_000
"""Characters of one prompt or text at most, where they are sent at all."""

Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TraceSpan:
    """A span that has ended; times are seconds since the epoch. error: the code of what went wrong.

    calls_out: what is waited for is another service (a model), not this one.
    """

    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    start: float
    end: float
    calls_out: bool = False
    error: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


class SpanReader:
    """Says which spans end with an event. content: prompts, code and texts go with them."""

    def __init__(self, provider: str, *, content: bool = False) -> None:
        self._provider = provider
        self._content = content

    def ended(self, run: Run, event: Event) -> Iterator[TraceSpan]:
        """The spans that end with this event; `run` is the run after it."""
        match event:
            case RootReplied():
                begin = event.at - event.seconds
                if len(run.turns) > 1:
                    yield _turn(run, run.turns[-2].reply, begin)
                if event.model and event.model != CLIENT_MODEL:
                    yield self._root_call(run, event)
            case StepRan() if event.result.status == "finished":
                yield self._step(run, event)
            case SubcallResolved():
                yield self._subcall(run, event)
            case Finished():
                if run.turns:
                    yield _turn(run, run.turns[-1].reply, event.at)
                yield self._execution(run, event)
            case _:
                return

    def _execution(self, run: Run, event: Finished) -> TraceSpan:
        execution = run.execution
        parent = execution.parent
        return TraceSpan(
            name=f"{genai.INVOKE_AGENT} {AGENT}",
            trace_id=trace_id(execution.execution_id),
            span_id=span_id(execution.execution_id),
            parent_id=span_id(parent.execution_id, "rlm", parent.key) if parent else None,
            start=execution.created_at,
            end=event.at,
            error=event.error.code if event.error else None,
            attributes={
                **_ids(execution),
                genai.OPERATION: genai.INVOKE_AGENT,
                genai.AGENT_NAME: AGENT,
                genai.AGENT_ID: execution.execution_id,
                genai.CONVERSATION_ID: execution.session_id,
                genai.PROVIDER: self._provider,
                genai.REQUEST_MODEL: execution.models.root,
                genai.MODE: execution.mode,
                genai.DEPTH: execution.depth,
                genai.STATUS: str(event.status),
                genai.PARTIAL: event.partial,
                genai.TURNS: run.spend.turns,
                genai.CITATIONS: len(event.citations),
                **_paid(run.spend),
                **self._said(execution.question, event.answer),
            },
        )

    def _root_call(self, run: Run, event: RootReplied) -> TraceSpan:
        usage = event.usage
        return TraceSpan(
            name=f"{genai.CHAT} {event.model}",
            trace_id=trace_id(run.execution.execution_id),
            span_id=span_id(run.execution.execution_id, "root", event.turn),
            parent_id=_turn_id(run, event.turn),
            start=event.at - event.seconds,
            end=event.at,
            calls_out=True,
            attributes={
                **_ids(run.execution),
                **self._called(run.execution.models.root, event.model),
                genai.TURN: event.turn,
                genai.INPUT_TOKENS: usage.input_tokens if usage else None,
                genai.OUTPUT_TOKENS: usage.output_tokens if usage else None,
                genai.CACHED_INPUT_TOKENS: usage.cached_input_tokens if usage else None,
                genai.COST_USD: event.cost_usd,
                genai.CACHE_HIT: event.cache_hit,
                genai.PROMPT_CHARS: event.prompt_chars,
                genai.PROMPT_VERSION: event.prompt_version,
                **self._said(None, event.text),
            },
        )

    def _step(self, run: Run, event: StepRan) -> TraceSpan:
        result, reply = event.result, run.turns[-1].reply
        content = {genai.TOOL_ARGUMENTS: _cut(reply.code or ""), genai.TOOL_RESULT: _cut(result.stdout)}
        return TraceSpan(
            name=f"{genai.EXECUTE_TOOL} {STEP_TOOL}",
            trace_id=trace_id(run.execution.execution_id),
            span_id=_step_id(run, event.turn),
            parent_id=_turn_id(run, event.turn),
            start=reply.at,
            end=event.at,
            error=result.error.code if result.error else None,
            attributes={
                **_ids(run.execution),
                genai.OPERATION: genai.EXECUTE_TOOL,
                genai.TOOL_NAME: STEP_TOOL,
                genai.TOOL_TYPE: "function",
                genai.TURN: event.turn,
                genai.STEP_SECONDS: result.usage.wall_seconds,
                genai.STEP_SPANS: len(result.spans),
                genai.STEP_REQUESTS: len(result.requests),
                **(content if self._content else {}),
            },
        )

    def _subcall(self, run: Run, event: SubcallResolved) -> TraceSpan:
        request, execution = event.request, run.execution
        model = str(event.result.meta.get("model") or execution.models.sub)
        failure = event.result.meta.get("error")
        return TraceSpan(
            name=_subcall_name(event, model),
            trace_id=trace_id(execution.execution_id),
            span_id=_subcall_id(run, event),
            parent_id=_step_id(run, event.turn) if request.called else _turn_id(run, event.turn),
            start=event.at - event.seconds,
            end=event.at,
            calls_out=request.kind == "llm",
            error=str(failure["code"]) if failure else None,
            attributes={
                **_ids(execution),
                **self._kind(event, model),
                genai.TURN: event.turn,
                genai.SUBCALL_KIND: request.kind,
                genai.CACHE_HIT: event.cache_hit,
                genai.CHILD_ID: event.child_id,
                genai.PROMPT_CHARS: len(request.prompt),
                **_paid(event.spend),
                **self._said(request.prompt, event.result.text),
            },
        )

    def _kind(self, event: SubcallResolved, model: str) -> Attributes:
        if event.request.kind == "llm":
            reason = event.result.meta.get("finish_reason")
            reasons = {genai.FINISH_REASONS: (str(reason),)} if reason else {}
            return {**self._called(model, model), **reasons}
        # a child execution is a span of its own below this one
        return {genai.OPERATION: genai.EXECUTE_TOOL, genai.TOOL_NAME: event.request.kind}

    def _called(self, asked: str, replied: str) -> Attributes:
        return {
            genai.OPERATION: genai.CHAT,
            genai.PROVIDER: self._provider,
            genai.REQUEST_MODEL: asked,
            genai.RESPONSE_MODEL: replied,
        }

    def _said(self, asked: str | None, answered: str | None) -> Attributes:
        if not self._content:
            return {}
        messages = ((genai.INPUT_MESSAGES, "user", asked), (genai.OUTPUT_MESSAGES, "assistant", answered))
        return {name: _message(role, text) for name, role, text in messages if text is not None}


def trace_id(execution_id: str) -> int:
    """One trace for an execution and its children, 128 bits: child ids begin with their parent's."""
    return _bits(16, execution_id.partition("-")[0])


def span_id(execution_id: str, *place: object) -> int:
    """64 bits that stand for a place in an execution, without one for the execution itself."""
    return _bits(8, execution_id, *place)


def _bits(size: int, *parts: object) -> int:
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    # all zeros would say that there is none
    return int.from_bytes(digest[:size], "big") or 1


def _turn_id(run: Run, turn: int) -> int:
    return span_id(run.execution.execution_id, "turn", turn)


def _step_id(run: Run, turn: int) -> int:
    return span_id(run.execution.execution_id, "step", turn)


def _subcall_id(run: Run, event: SubcallResolved) -> int:
    request, execution_id = event.request, run.execution.execution_id
    if request.kind == "rlm":
        # what the child knows of its parent's call
        return span_id(execution_id, "rlm", request.key)
    return span_id(execution_id, request.kind, event.turn, request.key)


def _subcall_name(event: SubcallResolved, model: str) -> str:
    kind = event.request.kind
    return f"{genai.CHAT} {model}" if kind == "llm" else f"{genai.EXECUTE_TOOL} {kind}"


def _turn(run: Run, reply: RootReplied, end: float) -> TraceSpan:
    execution = run.execution
    return TraceSpan(
        name=f"turn {reply.turn}",
        trace_id=trace_id(execution.execution_id),
        span_id=_turn_id(run, reply.turn),
        parent_id=span_id(execution.execution_id),
        start=reply.at - reply.seconds,
        end=end,
        attributes={**_ids(execution), genai.TURN: reply.turn},
    )


def _ids(execution: Execution) -> Attributes:
    return {
        genai.TENANT_ID: execution.tenant_id,
        genai.SESSION_ID: execution.session_id,
        genai.EXECUTION_ID: execution.execution_id,
    }


def _paid(spend: Spend) -> Attributes:
    return {
        genai.INPUT_TOKENS: spend.input_tokens,
        genai.OUTPUT_TOKENS: spend.output_tokens,
        genai.CACHED_INPUT_TOKENS: spend.cached_input_tokens,
        genai.COST_USD: spend.cost_usd,
    }


def _message(role: str, text: str) -> str:
    """One message as the conventions' JSON has it."""
    return orjson.dumps([{"role": role, "parts": [{"type": "text", "content": _cut(text)}]}]).decode()


def _cut(text: str) -> str:
    return text if len(text) <= CONTENT_CHARS else f"{text[:CONTENT_CHARS]}…"
