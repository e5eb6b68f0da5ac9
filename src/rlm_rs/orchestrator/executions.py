"""Starting, resuming and reporting executions: what every surface does around the loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from rlm_rs.core.answers import Answer, CheckedCitation
from rlm_rs.core.budget import CHARS_PER_TOKEN, Budgets
from rlm_rs.core.citing import Citation
from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import ExecutionNotFound, Fenced, ValidationFailed
from rlm_rs.core.execution import (
    CancelRequested,
    Event,
    Execution,
    Mode,
    Models,
    OutputMode,
    Run,
    begun,
)
from rlm_rs.core.model import Message, Usage
from rlm_rs.core.pricing import context_window, cost
from rlm_rs.core.prompts.render import root_prompt
from rlm_rs.core.records import ExecutionRecord, ExecutionStatus, SessionRecord, WorkKind
from rlm_rs.core.wellformed import well_formed
from rlm_rs.orchestrator.answerer import answer
from rlm_rs.orchestrator.event_log import replayed
from rlm_rs.orchestrator.follow_up import earlier_of
from rlm_rs.orchestrator.following import following
from rlm_rs.orchestrator.indexing import SEARCH
from rlm_rs.orchestrator.lifecycle import open_session
from rlm_rs.orchestrator.outcome import finish, record_of
from rlm_rs.orchestrator.ports import Ports, Service
from rlm_rs.orchestrator.removal import keep_or_remove
from rlm_rs.orchestrator.sessions import corpus_left, corpus_of
from rlm_rs.orchestrator.verifying import verify
from rlm_rs.sandbox.protocol import ContextShape

CHECKED_AT_ONCE = 16
PAGE_ROWS = 500
CANCEL_LEASE_SECONDS = 30.0
CANCEL_WAIT_SECONDS = 2.0
CANCEL_ATTEMPTS = 5
ID_PREFIX = "exec_"


@dataclass(frozen=True, slots=True)
class Ask:
    """One question and how it is to be answered.

    continue_from: the execution it follows up, in the same session. output_schema: JSON Schema that the
    answer must satisfy. search: whether step code may search by words.
    """

    question: str
    models: Models
    budgets: Budgets
    output_mode: OutputMode = "ANSWER"
    context_shape: ContextShape = "documents"
    continue_from: str | None = None
    output_schema: Mapping[str, Any] | None = None
    search: bool = False


@dataclass(frozen=True, slots=True)
class Choices:
    """What a request says of models and budgets: what it leaves out is as the session or the settings say."""

    root_model: str | None = None
    sub_model: str | None = None
    budgets: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewExecution:
    """A question put to a session. continue_from: the execution it follows, in the same session.

    output_schema: JSON Schema that the answer must satisfy.
    """

    question: str
    choices: Choices = Choices()
    output_mode: OutputMode = "ANSWER"
    context_shape: ContextShape = "documents"
    continue_from: str | None = None
    output_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What an ask would begin with: the execution, its first root prompt, and what reading that costs.

    input_tokens is an estimate from the prompt's length; cost_usd is for these tokens alone, None where
    the price is unknown.
    """

    execution: Execution
    messages: tuple[Message, ...]
    input_tokens: int
    cost_usd: float | None


def new_execution_id() -> str:
    """A fresh execution id."""
    return f"{ID_PREFIX}{uuid4().hex}"


def checked(ask: Ask, ports: Ports) -> Ask:
    """The ask itself. Raises `ValidationFailed` for one that could not be kept to."""
    if not ask.question.strip():
        raise ValidationFailed(reason="The question is empty.")
    if ask.output_schema is not None:
        ports.schemas.check(ask.output_schema)
    prices = ports.prices
    unpriced = [m for m in (ask.models.root, ask.models.sub) if cost(m, Usage(), prices) is None]
    if ask.budgets.max_cost_usd is not None and unpriced:
        raise ValidationFailed(
            reason=f"max_cost_usd needs the price of {unpriced[0]}: set RLM_PRICES_JSON, "
            "or bound max_total_tokens."
        )
    return ask


async def start(ask: Ask, corpus: Corpus, ports: Ports, execution_id: str | None = None) -> Run:
    """Record a new execution; nothing is asked of a model yet."""
    execution = await furnished(execution_of(ask, corpus, execution_id), ask.continue_from, ports)
    # the row comes first: a journal without one could be resumed, but nobody would find it
    await ports.catalog.put_execution(record_of(Run(execution)))
    run = await ports.log.start(execution)
    if run.seq > 1:
        await ports.catalog.put_execution(record_of(run))
    return run


def execution_of(ask: Ask, corpus: Corpus, execution_id: str | None = None) -> Execution:
    """The execution that an ask over this corpus is."""
    return Execution(
        execution_id=execution_id or new_execution_id(),
        tenant_id=corpus.tenant_id,
        session_id=corpus.session_id,
        question=well_formed(ask.question),
        models=ask.models,
        budgets=ask.budgets,
        output_mode=ask.output_mode,
        context_shape=ask.context_shape,
        output_schema=ask.output_schema,
        created_at=time.time(),
        search_enabled=ask.search,
    )


async def furnished(execution: Execution, continue_from: str | None, ports: Ports) -> Execution:
    """The execution, with the tools there are and what it has from the one it follows up.

    Raises `ExecutionNotFound`, `ValidationFailed`, `ToolFailed`.
    """
    execution = replace(execution, tools=tuple(await ports.tools.describe()))
    if continue_from is None:
        return execution
    earlier = await earlier_of(execution.tenant_id, execution.session_id, continue_from, ports)
    return replace(execution, earlier=earlier)


async def plan(ask: Ask, corpus: Corpus, ports: Ports) -> Plan:
    """What the ask would begin with. Nothing is recorded and no model is called."""
    execution = await furnished(execution_of(ask, corpus), ask.continue_from, ports)
    prompt = root_prompt(
        begun(execution),
        corpus,
        window_tokens=context_window(ask.models.root, ports.windows),
        state_summary=ports.state_summary,
    )
    tokens = -(-sum(len(message.content) for message in prompt.messages) // CHARS_PER_TOKEN)
    price = cost(ask.models.root, Usage(input_tokens=tokens), ports.prices)
    return Plan(execution, prompt.messages, tokens, price)


async def recent(tenant_id: str, limit: int, ports: Ports) -> list[ExecutionRecord]:
    """The newest executions, newest first; one that seems to be running is shown as its journal has it."""
    rows, _ = await ports.catalog.list_executions(tenant_id, limit)
    found = [await _current(row, ports) for row in rows]
    return [row for row in found if row]


async def _current(row: ExecutionRecord, ports: Ports) -> ExecutionRecord | None:
    """The row as the journal has it; None if it was stopped before its journal began."""
    if row.status != ExecutionStatus.RUNNING:
        return row
    run = await ports.log.replay(row.tenant_id, row.execution_id)
    return record_of(run) if run else None


async def find(tenant_id: str, start: str, ports: Ports) -> str:
    """The id of the one execution whose id is, or starts with, `start`; `exec_` may be left out.

    Raises `ExecutionNotFound`, and `ValidationFailed` when several start so.
    """
    wanted = start if start.startswith(ID_PREFIX) else ID_PREFIX + start
    if await ports.log.events(tenant_id, wanted):
        return wanted
    found: list[str] = []
    cursor: str | None = None
    while start:
        rows, cursor = await ports.catalog.list_executions(tenant_id, PAGE_ROWS, cursor)
        found += [row.execution_id for row in rows if row.execution_id.startswith(wanted)]
        if cursor is None:
            break
    return only_one(start, found)


def only_one(start: str, found: Sequence[str]) -> str:
    """The one execution that `start` could mean. Raises `ExecutionNotFound`, `ValidationFailed`."""
    if len(found) > 1:
        raise ValidationFailed(
            reason=f"{start} could be {found[0]} or {found[1]}: give more of the id.",
            execution_ids=list(found),
        )
    if not found:
        raise ExecutionNotFound(execution_id=start)
    return found[0]


async def go_on(tenant_id: str, execution_id: str, ports: Ports) -> tuple[Run, Corpus]:
    """Drive an execution from where its journal stands to its end; a finished one is only read."""
    run = await replayed(ports.log, tenant_id, execution_id)
    corpus = await corpus_of(tenant_id, run.execution.session_id, ports.catalog)
    return (run if run.finished else await answer(run, corpus, ports)), corpus


async def report(run: Run, corpus: Corpus, ports: Ports) -> Answer:
    """The answer of a run so far, with every citation recomputed."""
    end, slots = run.finished, asyncio.Semaphore(CHECKED_AT_ONCE)

    async def check(citation: Citation) -> CheckedCitation:
        async with slots:
            found = await verify(citation.ref, corpus, ports.texts)
        return CheckedCitation(
            citation.ref,
            citation.source_name,
            citation.page,
            found.text,
            citation.support,
            found.valid,
            citation.note,
        )

    citations = await asyncio.gather(*(check(c) for c in (end.citations if end else ())))
    return Answer(
        execution_id=run.execution.execution_id,
        session_id=corpus.session_id,
        question=run.execution.question,
        status=record_of(run).status,
        text=end.answer if end else None,
        value=end.value if end else None,
        partial=end.partial if end else False,
        error=end.error if end else None,
        citations=tuple(citations),
        contexts=end.contexts if end else (),
        documents=corpus.documents,
        spend=run.spend,
    )


async def submit(tenant_id: str, session_id: str, new: NewExecution, service: Service) -> Run:
    """Record a new execution and ask a worker to drive it.

    Raises `SessionNotFound`, `SessionExpired`, `SessionNotReady`, `ExecutionNotFound` (what it is to go on
    from), `ValidationFailed`.
    """
    session = await open_session(tenant_id, session_id, service)
    execution = opened(session, new.choices, new.question, "ANSWERER", service)
    checked(
        Ask(new.question, execution.models, execution.budgets, output_schema=new.output_schema),
        service.ports,
    )
    execution = await furnished(execution, new.continue_from, service.ports)
    execution = replace(
        execution,
        output_mode=new.output_mode,
        context_shape=new.context_shape,
        output_schema=new.output_schema,
    )
    # work without a journal is dropped in the end, and its row; either without work would be open for ever
    await service.work.add(WorkKind.EXECUTION, tenant_id, execution.execution_id, service.request_id())
    await service.ports.catalog.put_execution(record_of(Run(execution)))
    run = await service.ports.log.start(execution)
    await keep_or_remove(run, service)
    service.signals.added(WorkKind.EXECUTION)
    return run


def opened(
    session: SessionRecord, choices: Choices, question: str, mode: Mode, service: Service
) -> Execution:
    """A new execution of a session: what the request says, then the session, then the settings."""
    defaults = session.models_default
    given = {name: value for name, value in choices.budgets.items() if value is not None}
    return Execution(
        execution_id=new_execution_id(),
        tenant_id=session.tenant_id,
        session_id=session.session_id,
        question=well_formed(question),
        models=service.models(
            choices.root_model or defaults.get("root_model"), choices.sub_model or defaults.get("sub_model")
        ),
        budgets=service.budgets.merged({**session.budgets_default, **given}),
        mode=mode,
        created_at=time.time(),
        options=dict(choices.options),
        search_enabled=bool(session.options.get(SEARCH)) and service.ports.search is not None,
    )


async def cancel(tenant_id: str, execution_id: str, service: Service) -> Run:
    """Ask an execution to stop; one that has ended is left as it is. Raises `ExecutionNotFound`.

    Whoever drives it ends it. One that nobody drives is ended here.
    """
    run = await replayed(service.ports.log, tenant_id, execution_id)
    if run.finished is not None:
        return run
    known = await service.work.request_cancel(WorkKind.EXECUTION, tenant_id, execution_id)
    service.signals.stop(execution_id)
    owner = f"cancel_{uuid4().hex}"
    item = await service.work.claim_item(
        WorkKind.EXECUTION, tenant_id, execution_id, owner, CANCEL_LEASE_SECONDS
    )
    if item is not None or not known:
        run = await cancelled(tenant_id, execution_id, service.ports)
    if item is not None:
        await service.work.done(item, owner)
    return run if run.finished else await wait(tenant_id, execution_id, CANCEL_WAIT_SECONDS, service)


async def cancelled(tenant_id: str, execution_id: str, ports: Ports) -> Run:
    """End an execution as CANCELLED, unless it has ended already.

    Raises `Fenced` if somebody else goes on with it again and again.
    """
    for attempts_left in reversed(range(CANCEL_ATTEMPTS)):
        run = await replayed(ports.log, tenant_id, execution_id)
        try:
            if run.finished is None and not run.cancel_requested:
                run = await ports.log.append(run, CancelRequested(reason="asked for"))
            return await finish(run, await documents_left(run, ports), ports)
        except Fenced:
            # a step that was under way has just been recorded
            if not attempts_left:
                raise
        finally:
            ports.log.forget(execution_id)
    raise AssertionError("the last attempt returns or raises")


async def documents_left(run: Run, ports: Ports) -> Corpus:
    """The documents of an execution's session, none if the session is gone."""
    return await corpus_left(run.execution.tenant_id, run.execution.session_id, ports.catalog)


async def wait(tenant_id: str, execution_id: str, timeout_seconds: float, service: Service) -> Run:
    """The execution once it has ended, or as it stands when the time is over."""
    log = service.ports.log
    run = await replayed(log, tenant_id, execution_id)
    if run.finished is None and timeout_seconds > 0:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                async with aclosing(following(log, execution_id, run.seq)) as events:
                    async for _ in events:
                        pass
        run = await replayed(log, tenant_id, execution_id)
    return run


async def follow(
    tenant_id: str, execution_id: str, after_seq: int, service: Service
) -> AsyncGenerator[tuple[int, Event]]:
    """Numbered events after `after_seq` (-1: all), those to come as they come, up to `Finished`.

    Raises `ExecutionNotFound`.
    """
    await replayed(service.ports.log, tenant_id, execution_id)
    async with aclosing(following(service.ports.log, execution_id, after_seq + 1)) as events:
        async for numbered in events:
            yield numbered
