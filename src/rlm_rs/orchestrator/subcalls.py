"""Resolving what a step asked for: sub-model calls, child executions, searches and tools, concurrently.

A sub-call is admitted when the budget holds what it may cost at most beside what is already in flight, so
that siblings cannot jointly overspend; one that never fits is refused with an error the code can read.
Each answer is recorded as it lands. A failed sub-call is an answer too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from rlm_rs.core.budget import (
    CHARS_PER_TOKEN,
    RESERVE_SHARE,
    Budgets,
    Spend,
    child_budgets,
    of_completion,
    working_seconds,
)
from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import Fenced, RlmError
from rlm_rs.core.execution import Run, SubcallResolved
from rlm_rs.core.model import Usage
from rlm_rs.core.pricing import cost
from rlm_rs.orchestrator.completions import Caller
from rlm_rs.orchestrator.ports import Ports
from rlm_rs.orchestrator.root import user_prompt
from rlm_rs.orchestrator.scope import scope_of
from rlm_rs.sandbox.protocol import SpanEntry, SubcallRequest, SubcallResult

ROUNDING_USD = 1e-9

Answer = Callable[[Run, Corpus, Ports], Awaitable[Run]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a sub-call gave and used, before it is recorded."""

    result: SubcallResult
    spend: Spend = Spend()
    child_id: str | None = None
    citations: tuple[SpanEntry, ...] = ()
    cache_hit: bool = False
    cached_at: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Fanout:
    """The sub-calls being resolved together, `siblings` of them: what each needs to know of the others."""

    run: Run
    corpus: Corpus
    ports: Ports
    answer: Answer
    siblings: int


Resolver = Callable[[Fanout, SubcallRequest], Awaitable[Outcome]]


async def resolve(
    run: Run, corpus: Corpus, ports: Ports, answer: Answer, resolvers: Mapping[str, Resolver]
) -> Run:
    """Resolve all pending sub-calls, or as many as the time allows. `answer` drives child executions."""
    fanout = Fanout(run, corpus, ports, answer, len(run.pending))
    waiting = list(run.pending)
    running: dict[asyncio.Task[Outcome], SubcallRequest] = {}
    try:
        while waiting or running:
            _admit(fanout, run, waiting, running, resolvers)
            if not running:
                request = waiting.pop(0)
                run = await _record(run, request, Outcome(_refused(run, request)), ports)
                continue
            left = working_seconds(run.execution.budgets) - ports.log.elapsed(run)
            done, _ = await asyncio.wait(running, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            for task in done:
                run = await _record(run, running.pop(task), task.result(), ports)
    finally:
        await _cancelled(running)
    return run


def _admit(
    fanout: Fanout,
    run: Run,
    waiting: list[SubcallRequest],
    running: dict[asyncio.Task[Outcome], SubcallRequest],
    resolvers: Mapping[str, Resolver],
) -> None:
    reserved = _total(worst_case(request, fanout) for request in running.values())
    while waiting and len(running) < fanout.ports.concurrency:
        needed = reserved.plus(worst_case(waiting[0], fanout))
        if not fits(run, needed):
            return
        reserved = needed
        request = waiting.pop(0)
        running[asyncio.ensure_future(_resolved(fanout, request, resolvers[request.kind]))] = request


async def _resolved(fanout: Fanout, request: SubcallRequest, resolver: Resolver) -> Outcome:
    started = time.monotonic()
    try:
        outcome = await resolver(fanout, request)
    except Fenced:
        raise
    except RlmError as error:
        outcome = Outcome(failed(request, error.code, error.message), _paid_in_vain(fanout, request, error))
    return replace(outcome, seconds=time.monotonic() - started)


async def _record(run: Run, request: SubcallRequest, outcome: Outcome, ports: Ports) -> Run:
    event = SubcallResolved(
        turn=run.turns[-1].index,
        request=request,
        result=outcome.result,
        spend=outcome.spend,
        child_id=outcome.child_id,
        citations=outcome.citations,
        cache_hit=outcome.cache_hit,
        cached_at=outcome.cached_at,
        seconds=outcome.seconds,
    )
    return await ports.log.append(run, event)


async def _cancelled(running: dict[asyncio.Task[Outcome], SubcallRequest]) -> None:
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def worst_case(request: SubcallRequest, fanout: Fanout) -> Spend:
    """The most a sub-call may use; for a child execution that is its whole share."""
    counted = _counted(request)
    if request.kind in ("search", "tool"):
        return counted
    if request.kind == "rlm" and fanout.run.execution.budgets.max_depth > 0:
        return counted.plus(_all_of(share_of(fanout, request)))
    passed = _passed_chars(request, fanout)
    usage = Usage(
        input_tokens=(len(request.prompt) + passed) // CHARS_PER_TOKEN + 1,
        output_tokens=request.max_tokens or fanout.ports.subcall_max_tokens,
    )
    model = model_of(fanout.run, request)
    asked = of_completion(usage, cost(model, usage, fanout.ports.prices))
    return counted.plus(asked).plus(Spend(prompt_chars=passed))


def _all_of(share: Budgets) -> Spend:
    return Spend(
        llm_subcalls=share.max_llm_subcalls,
        tool_calls=share.max_tool_calls,
        prompt_chars=share.max_total_llm_prompt_chars,
        input_tokens=share.max_total_tokens or 0,
        cost_usd=share.max_cost_usd or 0.0,
    )


def _passed_chars(request: SubcallRequest, fanout: Fanout) -> int:
    """Characters that an `rlm` call past max_depth adds to its prompt."""
    if request.kind == "llm":
        return 0
    execution = fanout.run.execution
    room = max(0, execution.budgets.max_llm_prompt_chars - len(request.prompt))
    return min(room, scope_of(execution, fanout.corpus, request).char_length)


def fits(run: Run, needed: Spend) -> bool:
    """Whether the budgets hold what is needed on top of what was spent, the reserve left untouched."""
    budgets = run.execution.budgets
    after = run.spend.plus(needed)
    ordinary = 1 - RESERVE_SHARE
    return (
        after.llm_subcalls <= budgets.max_llm_subcalls
        and after.tool_calls <= budgets.max_tool_calls
        and after.prompt_chars <= budgets.max_total_llm_prompt_chars
        and (budgets.max_total_tokens is None or after.tokens <= budgets.max_total_tokens * ordinary)
        and (
            budgets.max_cost_usd is None
            or (after.cost_usd or 0.0) <= budgets.max_cost_usd * ordinary + ROUNDING_USD
        )
    )


def share_of(fanout: Fanout, request: SubcallRequest) -> Budgets:
    """What a child execution may use: its share of what was left when the fan-out began."""
    share = child_budgets(fanout.run.execution.budgets, fanout.run.spend, fanout.siblings)
    return replace(
        share, max_total_llm_prompt_chars=max(0, share.max_total_llm_prompt_chars - len(request.prompt))
    )


def _counted(request: SubcallRequest) -> Spend:
    if request.kind == "search":
        return Spend(searches=1)
    if request.kind == "tool":
        return Spend(tool_calls=1)
    return Spend(llm_subcalls=1, rlm_subcalls=int(request.kind == "rlm"), prompt_chars=len(request.prompt))


def _paid_in_vain(fanout: Fanout, request: SubcallRequest, error: RlmError) -> Spend:
    """A failed call counts, and so do the tokens of a reply that was cut off before it said anything."""
    tokens = {f.name: error.details[f.name] for f in fields(Usage) if f.name in error.details}
    usage = Usage(**tokens)
    paid = cost(model_of(fanout.run, request), usage, fanout.ports.prices) if tokens else 0.0
    return _counted(request).plus(of_completion(usage, paid))


def _total(spends: Iterable[Spend]) -> Spend:
    total = Spend()
    for spend in spends:
        total = total.plus(spend)
    return total


def _refused(run: Run, request: SubcallRequest) -> SubcallResult:
    budgets, spend = run.execution.budgets, run.spend
    if request.kind == "tool":
        return failed(
            request,
            "BUDGET_EXCEEDED",
            f"no budget for this call ({spend.tool_calls} of {budgets.max_tool_calls} tool calls used): "
            "go on with what you have",
        )
    return failed(
        request,
        "BUDGET_EXCEEDED",
        f"no budget for this sub-call ({spend.llm_subcalls} of {budgets.max_llm_subcalls} sub-calls, "
        f"{spend.prompt_chars:,} of {budgets.max_total_llm_prompt_chars:,} prompt characters used; tokens or "
        "money may be short too): answer from what you have",
    )


def failed(request: SubcallRequest, code: str, message: str) -> SubcallResult:
    """The error answer to a request."""
    return SubcallResult(
        request.key,
        request.digest(),
        "error",
        text=f"ERROR: {code}: {message}",
        meta={"error": {"code": code, "message": message}},
    )


def model_of(run: Run, request: SubcallRequest) -> str:
    """The model a sub-call goes to: step code may choose between the execution's two, and no other."""
    models = run.execution.models
    return models.root if request.model in ("root", models.root) else models.sub


async def ask_sub_model(fanout: Fanout, request: SubcallRequest) -> Outcome:
    """Resolve an `llm` sub-call."""
    run, ports = fanout.run, fanout.ports
    execution = run.execution
    model = model_of(run, request)
    asked = user_prompt(
        model,
        request.prompt,
        max_tokens=request.max_tokens or ports.subcall_max_tokens,
        temperature=request.temperature,
        schema=request.schema,
    )
    caller = Caller(execution.tenant_id, f"{execution.execution_id}/{run.turns[-1].index}/{request.key}")
    async with ports.slots:
        completion = await ports.completions.complete(asked, caller, shared=request.temperature == 0)
    usage = None if completion.cache_hit else completion.reply.usage
    meta: dict[str, Any] = {
        "model": completion.reply.model,
        "cache_hit": completion.cache_hit,
        "finish_reason": completion.reply.finish_reason,
        **(
            {"usage": {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}}
            if usage
            else {}
        ),
    }
    return Outcome(
        SubcallResult(request.key, request.digest(), "resolved", text=completion.reply.text, meta=meta),
        _counted(request).plus(of_completion(usage, completion.cost_usd)),
        cache_hit=completion.cache_hit,
        cached_at=completion.uri,
    )
