"""An execution is its journal: typed events, and the fold that says what it is at any moment.

Resume after a crash, live progress, traces and spend are all readers of these events; nothing else is
kept. `Run.apply` is the whole truth about what an event changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rlm_rs.core.budget import Budgets, Spend, of_completion
from rlm_rs.core.citing import Citation, ContextItem
from rlm_rs.core.model import Usage
from rlm_rs.core.records import ExecutionStatus
from rlm_rs.core.spans import read_ranges
from rlm_rs.sandbox.protocol import (
    RESERVED_STATE_KEYS,
    Cite,
    ContextShape,
    Final,
    SpanEntry,
    StepResult,
    SubcallRequest,
    SubcallResult,
    ToolDescription,
    View,
)

OutputMode = Literal["ANSWER", "CONTEXTS"]
Mode = Literal["ANSWERER", "RUNTIME"]


@dataclass(frozen=True, slots=True)
class Models:
    """Names of the root model and the sub model."""

    root: str
    sub: str


@dataclass(frozen=True, slots=True)
class Parent:
    """The execution and the call that started a child execution."""

    execution_id: str
    key: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and the answer it was given."""

    execution_id: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a follow-up question goes on from: what was said, oldest first, and what the last one kept."""

    exchanges: tuple[Exchange, ...]
    state: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Execution:
    """What an execution was started with; it never changes. created_at is seconds since the epoch.

    views, texts: what it runs over (None and empty: all documents of the session).
    depth: 0 for one a user started, 1 for its children.
    search_enabled: whether step code may search by words. output_schema: JSON Schema that the answer
    satisfies. tools: custom tools its steps can call. options: what its surface was asked for besides.
    """

    execution_id: str
    tenant_id: str
    session_id: str
    question: str
    models: Models
    budgets: Budgets = Budgets()
    mode: Mode = "ANSWERER"
    output_mode: OutputMode = "ANSWER"
    context_shape: ContextShape = "documents"
    depth: int = 0
    parent: Parent | None = None
    views: tuple[View, ...] | None = None
    texts: tuple[str, ...] = ()
    created_at: float = 0.0
    output_schema: Mapping[str, Any] | None = None
    earlier: Earlier | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[ToolDescription, ...] = ()
    search_enabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stamped:
    """at: seconds since the epoch. elapsed: seconds this execution has been at work so far."""

    at: float = 0.0
    elapsed: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(_Stamped):
    """The execution exists."""

    execution: Execution
    type: Literal["Started"] = "Started"


@dataclass(frozen=True, slots=True, kw_only=True)
class RootReplied(_Stamped):
    """The root model replied. With neither `code` nor `final`, `problem` is what it is told.

    exhausted: the status to end with, when this was the one question for a best answer.
    state: what replaces the state kept so far, where a client writes the code. cached_at: URI of the call's
    record in the call cache. cost_usd is None when the model's price is unknown. prompt_sha256 is over the
    messages that were sent, empty where none were.
    """

    turn: int
    text: str
    code: str | None = None
    final: Final | None = None
    problem: str | None = None
    reasoning: str = ""
    model: str = ""
    usage: Usage | None = None
    cost_usd: float | None = None
    prompt_chars: int = 0
    prompt_version: str = ""
    prompt_sha256: str = ""
    exhausted: str | None = None
    state: Mapping[str, Any] | None = None
    cache_hit: bool = False
    cached_at: str | None = None
    seconds: float = 0.0
    type: Literal["RootReplied"] = "RootReplied"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRan(_Stamped):
    """A step finished, or stopped at the sub-calls it needs."""

    turn: int
    result: StepResult
    type: Literal["StepRan"] = "StepRan"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubcallResolved(_Stamped):
    """A sub-call was answered. `spend` is what it used; a cache hit used no tokens.

    citations: what a child execution cited, in the parent's documents. cached_at: URI of the call's record in
    the call cache.
    """

    turn: int
    request: SubcallRequest
    result: SubcallResult
    spend: Spend = Spend()
    child_id: str | None = None
    citations: tuple[SpanEntry, ...] = ()
    cache_hit: bool = False
    cached_at: str | None = None
    seconds: float = 0.0
    type: Literal["SubcallResolved"] = "SubcallResolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested(_Stamped):
    """Somebody asked for the execution to stop."""

    reason: str = ""
    type: Literal["CancelRequested"] = "CancelRequested"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an execution did not complete: a stable code and one sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(_Stamped):
    """The outcome. `partial` marks a best answer given when a budget ran out."""

    status: ExecutionStatus
    answer: str | None = None
    value: Any = None
    partial: bool = False
    error: Problem | None = None
    citations: tuple[Citation, ...] = ()
    contexts: tuple[ContextItem, ...] = ()
    type: Literal["Finished"] = "Finished"


Event = Started | RootReplied | StepRan | SubcallResolved | CancelRequested | Finished


@dataclass(frozen=True, slots=True)
class Turn:
    """One root reply and what followed: the step's last result and the sub-calls it asked for."""

    reply: RootReplied
    step: StepResult | None = None
    subcalls: tuple[SubcallResolved, ...] = ()

    @property
    def index(self) -> int:
        """Turns count from 0."""
        return self.reply.turn


@dataclass(frozen=True, slots=True)
class Run:
    """What an execution is after the events so far.

    seq: the number of the next event. code: the step to run, or to go on with once `pending` is empty.
    asked: the calls the current step has made so far, answered or not; answers: results by key.
    step_spend: the spend when the current step was written, so that a replay of it sees the same figures.
    tool_results, tool_status: what queued sub-calls gave, as step code sees them.
    """

    execution: Execution
    seq: int = 1
    turns: tuple[Turn, ...] = ()
    code: str | None = None
    pending: tuple[SubcallRequest, ...] = ()
    asked: tuple[SubcallRequest, ...] = ()
    answers: Mapping[str, SubcallResult] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    tool_results: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"llm": {}, "search": {}})
    tool_status: Mapping[str, str] = field(default_factory=dict)
    spend: Spend = Spend()
    step_spend: Spend = Spend()
    final: Final | None = None
    exhausted: str | None = None
    consecutive_errors: int = 0
    cancel_requested: bool = False
    finished: Finished | None = None

    @property
    def spans(self) -> tuple[SpanEntry, ...]:
        """Every span read by finished steps, and what child executions cited, in order."""
        found: list[SpanEntry] = []
        for turn in self.turns:
            if turn.step:
                found += turn.step.spans
            for subcall in turn.subcalls:
                found += subcall.citations
        return tuple(found)

    @property
    def cites(self) -> tuple[Cite, ...]:
        """What step code cited itself, in the order of its marks."""
        return tuple(cite for turn in self.turns if turn.step for cite in turn.step.cites)

    @property
    def results(self) -> tuple[SubcallResult, ...]:
        """Answers to the current step's own calls, in the order they were asked."""
        return tuple(self.answers[request.key] for request in self.asked if request.key in self.answers)

    @property
    def refused(self) -> int:
        """Sub-calls of the current turn that no budget was left for."""
        answered = self.turns[-1].subcalls if self.turns else ()
        return sum(
            subcall.result.meta.get("error", {}).get("code") == "BUDGET_EXCEEDED" for subcall in answered
        )

    @property
    def concluded(self) -> bool:
        """Whether nothing is left to do but to write the outcome, or not even that."""
        ended = self.finished is not None or self.final is not None or self.cancel_requested
        # in the reserve code runs once, and asks nothing more
        return ended or (self.exhausted is not None and (self.code is None or bool(self.pending)))

    def apply(self, event: Event) -> Run:
        """This run after one more event."""
        run = replace(self, seq=self.seq + 1, spend=replace(self.spend, seconds=event.elapsed))
        match event:
            case RootReplied():
                return run._root_replied(event)
            case StepRan():
                return run._step_ran(event)
            case SubcallResolved():
                return run._subcall_resolved(event)
            case CancelRequested():
                return replace(run, cancel_requested=True)
            case Finished():
                return replace(run, finished=event)
            case Started():
                raise ValueError("an execution starts once")

    def _root_replied(self, event: RootReplied) -> Run:
        paid = self.spend.plus(of_completion(event.usage, event.cost_usd))
        spend = replace(paid, turns=paid.turns + 1)
        return replace(
            self,
            turns=(*self.turns, Turn(event)),
            code=event.code,
            final=event.final,
            exhausted=event.exhausted,
            pending=(),
            asked=(),
            answers={},
            state=self.state if event.state is None else _own_state(event.state),
            spend=spend,
            step_spend=spend,
            consecutive_errors=self.consecutive_errors + (event.problem is not None),
        )

    def _step_ran(self, event: StepRan) -> Run:
        result = event.result
        if result.status == "suspended":
            return replace(self, pending=result.requests, asked=(*self.asked, *result.requests))
        queued = () if result.error or result.final else result.requests
        return replace(
            self,
            turns=(*self.turns[:-1], replace(self.turns[-1], step=result)),
            code=None,
            asked=(),
            answers={},
            pending=queued,
            state=_own_state(result.state),
            variables=result.variables,
            tool_status={**self.tool_status, **{request.key: "pending" for request in queued}},
            final=result.final,
            spend=replace(self.spend, spans=self.spend.spans + len(read_ranges(result.spans))),
            consecutive_errors=self.consecutive_errors + 1 if result.error else 0,
        )

    def _subcall_resolved(self, event: SubcallResolved) -> Run:
        turn = self.turns[-1]
        run = replace(
            self,
            turns=(*self.turns[:-1], replace(turn, subcalls=self._with_subcall(turn, event))),
            pending=tuple(request for request in self.pending if request.key != event.request.key),
            spend=self.spend.plus(event.spend),
        )
        if event.request.called:
            return replace(run, answers={**self.answers, event.result.key: event.result})
        status = {**self.tool_status, event.request.key: event.result.status}
        return replace(run, tool_results=_with_result(self.tool_results, event, status), tool_status=status)

    def _with_subcall(self, turn: Turn, event: SubcallResolved) -> tuple[SubcallResolved, ...]:
        """The turn's sub-calls in the order they were asked: the one they are answered in is chance."""
        asked = (*self.asked, *(turn.step.requests if turn.step else ()))
        place = {request.key: number for number, request in enumerate(asked)}
        # those of calls that returned before come first
        return tuple(sorted((*turn.subcalls, event), key=lambda subcall: place.get(subcall.request.key, -1)))


def begun(execution: Execution) -> Run:
    """The run of an execution that has only started: a follow-up has what the earlier one kept."""
    earlier = execution.earlier
    return Run(execution, state=earlier.state, variables=earlier.variables) if earlier else Run(execution)


def _own_state(state: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in state.items() if name not in RESERVED_STATE_KEYS}


def _with_result(
    results: Mapping[str, Mapping[str, Any]], event: SubcallResolved, order: Iterable[str]
) -> Mapping[str, Mapping[str, Any]]:
    """The results with one more, each kind in the order its requests were first queued."""
    result = event.result
    if event.request.kind == "search":
        kind, entry = "search", {"hits": list(result.hits), "meta": dict(result.meta)}
    else:
        kind, entry = "llm", {"text": result.text, "meta": dict(result.meta)}
    found = {**results[kind], event.request.key: entry}
    return {**results, kind: {key: found[key] for key in order if key in found}}


def fold(events: Iterable[Event]) -> Run | None:
    """The run after all events; None if there are none. Raises ValueError if the first is not `Started`."""
    stream = iter(events)
    first = next(stream, None)
    if first is None:
        return None
    if not isinstance(first, Started):
        raise ValueError(f"a journal starts with Started, not {first.type}")
    run = begun(first.execution)
    for event in stream:
        run = run.apply(event)
    return run
