"""Workers: what is asked for is done once, whoever stops, fails or is stopped in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from serving import MINE, THEIRS, Serving, serving
from stage import InProcessSandbox, step

from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import ParserFailed, ProviderFailed, SessionNotFound
from rlm_rs.core.execution import Run
from rlm_rs.core.model import ModelReply, ModelRequest
from rlm_rs.core.records import ExecutionRecord, ExecutionStatus, SessionStatus, WorkItem, WorkKind
from rlm_rs.orchestrator.executions import Choices, NewExecution, cancel, follow, submit, wait
from rlm_rs.orchestrator.lifecycle import (
    NewDocument,
    NewSession,
    create_session,
    delete_session,
    session_view,
)
from rlm_rs.orchestrator.ports import Service
from rlm_rs.orchestrator.worker import Worker, WorkerLimits
from rlm_rs.sandbox.protocol import StepRequest, StepResult
from rlm_rs.storage.memory import MemoryCatalog
from rlm_rs.storage.memory_work import MemoryWork
from rlm_rs.testing.models import ScriptedModel

QUICK = WorkerLimits(lease=0.6, poll=0.02, backoff=0.05, max_backoff=0.05, max_attempts=2, drain=0.05)
BOTH = (WorkKind.INGESTION, WorkKind.EXECUTION)
ANSWER = step("FINAL(context[0][0:5])")


@asynccontextmanager
async def working(
    service: Service, limits: WorkerLimits = QUICK, kinds: tuple[WorkKind, ...] = BOTH
) -> AsyncIterator[None]:
    """A worker at work until the block ends."""
    stop = asyncio.Event()
    running = asyncio.ensure_future(Worker(service, kinds, limits=limits).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def asked(served: Serving, tenant: str = MINE, **options: object) -> str:
    """A ready session, and an execution in it that waits for a worker."""
    view = await served.session("alpha beta", tenant=tenant)
    run = await submit(tenant, view.session.session_id, NewExecution("What?", **options), served.service)  # type: ignore[arg-type]
    return run.execution.execution_id


async def ended(served: Serving, execution_id: str, tenant: str = MINE) -> Run:
    run = await wait(tenant, execution_id, 10, served.service)
    assert run.finished is not None, "it has not ended in time"
    return run


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    for _ in range(500):
        if await condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come to be in time")


async def until_asked(model: ScriptedModel, times: int = 1) -> None:
    async def is_asked() -> bool:
        return len(model.requests) >= times

    await until(is_asked)


async def test_a_worker_reads_sessions_in_and_answers_questions(tmp_path: Path) -> None:
    served = serving(tmp_path, ScriptedModel([ANSWER]))
    async with working(served.service):
        docs = (NewDocument("a.txt", await served.upload("alpha beta")),)
        session_id = (await create_session(MINE, NewSession(docs), served.service)).session.session_id
        await until_ready(served, session_id)
        run = await submit(MINE, session_id, NewExecution("What?"), served.service)
        run = await ended(served, run.execution.execution_id)
    assert run.finished is not None
    assert (run.finished.status, run.finished.answer) == (ExecutionStatus.COMPLETED, "alpha")
    row = await served.service.ports.catalog.get_execution(MINE, run.execution.execution_id)
    assert row is not None
    assert row.status == ExecutionStatus.COMPLETED
    assert await served.service.work.waiting(WorkKind.EXECUTION) == 0


async def test_a_session_that_takes_long_to_be_written_is_read_in(tmp_path: Path) -> None:
    class Slow(MemoryCatalog):
        """A worker hears of the session before there is one."""

        async def put_session(self, *args: Any) -> None:
            await asyncio.sleep(0.3)
            await super().put_session(*args)

    served = serving(tmp_path, ScriptedModel([]))
    ports = replace(served.service.ports, catalog=Slow())
    served.service = replace(served.service, ports=ports)
    docs = (NewDocument("a.txt", await served.upload("alpha beta")),)
    async with working(served.service):
        view = await create_session(MINE, NewSession(docs), served.service)
        await until_ready(served, view.session.session_id)


async def test_work_for_a_session_that_was_never_written_is_dropped(tmp_path: Path) -> None:
    served = serving(tmp_path, ScriptedModel([]))
    await served.service.work.add(WorkKind.INGESTION, MINE, "sess_killed")

    async def is_dropped() -> bool:
        return not await served.service.work.request_cancel(WorkKind.INGESTION, MINE, "sess_killed")

    async with working(served.service, replace(QUICK, max_attempts=1)):
        await until(is_dropped)


async def until_ready(served: Serving, session_id: str) -> None:
    async def is_ready() -> bool:
        return (await session_view(MINE, session_id, served.service)).ready

    await until(is_ready)


async def test_a_worker_drives_many_executions_at_once(tmp_path: Path) -> None:
    most, now = 0, 0

    class Counting(ScriptedModel):
        async def complete(self, request: ModelRequest) -> ModelReply:
            nonlocal most, now
            now += 1
            most = max(most, now)
            reply = await super().complete(request)
            now -= 1
            return reply

    served = serving(tmp_path, Counting(lambda _: ANSWER, latency=0.2))
    ids = [await asked(served) for _ in range(6)]
    async with working(served.service, replace(QUICK, concurrency=4)):
        for execution_id in ids:
            await ended(served, execution_id)
    assert most == 4


async def test_a_worker_begins_the_next_as_soon_as_one_ends(tmp_path: Path) -> None:
    class Slow(MemoryWork):
        """Executions end while the worker looks for what it can begin, and finds nothing."""

        async def claim(self, *args: Any, **kwargs: Any) -> WorkItem | None:
            item = await super().claim(*args, **kwargs)
            if item is None:
                await asyncio.sleep(0.3)
            return item

        async def release(self, *args: Any, **kwargs: Any) -> None:
            await super().release(*args, **kwargs)
            await asyncio.sleep(0.3)

    served = serving(tmp_path, ScriptedModel(lambda _: ANSWER))
    served.service = replace(served.service, work=Slow())
    ids = [await asked(served) for _ in range(24)]
    # no look at the store is due within the test: each is begun because another ended
    async with working(served.service, replace(QUICK, concurrency=3, poll=600)):
        for execution_id in ids:
            await ended(served, execution_id)


async def test_a_full_worker_hears_of_another_tenants_work(tmp_path: Path) -> None:
    served = serving(tmp_path, model := ScriptedModel(lambda _: ANSWER, latency=60))
    for _ in range(4):
        await asked(served)
    async with working(served.service, replace(QUICK, concurrency=3, poll=600)):
        await until_asked(model, 3)
        await asked(served, THEIRS)
        await until_asked(model, 4)


async def test_a_full_worker_still_begins_for_a_tenant_it_does_nothing_for(tmp_path: Path) -> None:
    served = serving(tmp_path, model := ScriptedModel(lambda _: ANSWER, latency=60))
    busy = [await asked(served) for _ in range(12)]
    async with working(served.service, replace(QUICK, concurrency=3)):
        await until_asked(model, 3)
        quiet = await asked(served, THEIRS)
        await until_asked(model, 4)
        # looked again and again meanwhile, and none of the first tenant's was begun beyond its share
        await asyncio.sleep(10 * QUICK.poll)
        runs = [await served.service.ports.log.replay(MINE, execution_id) for execution_id in busy]
        assert len(model.requests) == 4
        assert await served.service.work.waiting(WorkKind.EXECUTION) == 12 - 3
        for execution_id in busy:
            await cancel(MINE, execution_id, served.service)
        await cancel(THEIRS, quiet, served.service)
    assert all(run is not None and not run.turns for run in runs)


async def test_a_thousand_of_one_tenant_do_not_keep_the_first_of_another_waiting(tmp_path: Path) -> None:
    begun: list[str] = []

    def noted(request: ModelRequest) -> str:
        begun.append(
            "quiet" if "Quiet?" in request.messages[-1].content + request.messages[1].content else "busy"
        )
        return ANSWER

    served = serving(tmp_path, ScriptedModel(noted))
    view = await served.session("alpha beta")
    for number in range(1000):
        await submit(MINE, view.session.session_id, NewExecution(f"Busy {number}?"), served.service)
    theirs = await served.session("alpha beta", tenant=THEIRS)
    run = await submit(THEIRS, theirs.session.session_id, NewExecution("Quiet?"), served.service)
    async with working(served.service, replace(QUICK, concurrency=4)):
        await ended(served, run.execution.execution_id, THEIRS)
        before = begun.index("quiet")
    # no more than were claimed beside it
    assert before <= 4


async def test_what_a_dead_worker_held_is_done_after_its_lease(tmp_path: Path) -> None:
    served = serving(tmp_path, ScriptedModel([ANSWER]))
    execution_id = await asked(served)
    assert await served.service.work.claim(WorkKind.EXECUTION, "dead", 0.2)
    async with working(served.service):
        assert (await ended(served, execution_id)).finished is not None


async def test_a_long_execution_keeps_its_lease(tmp_path: Path) -> None:
    model = ScriptedModel([ANSWER], latency=0.5)
    served = serving(tmp_path, model)
    execution_id = await asked(served)
    slow = replace(QUICK, lease=0.2)
    async with working(served.service, slow), working(served.service, slow):
        await ended(served, execution_id)
    assert len(model.requests) == 1


async def test_two_workers_do_not_both_pay(tmp_path: Path) -> None:
    model = ScriptedModel(lambda _: ANSWER, latency=0.02)
    served = serving(tmp_path, model)
    ids = [await asked(served) for _ in range(8)]
    async with working(served.service), working(served.service):
        for execution_id in ids:
            await ended(served, execution_id)
    assert len(model.requests) == 8


async def test_cancelling_interrupts_a_model_call(tmp_path: Path) -> None:
    model = ScriptedModel([ANSWER], latency=30)
    served = serving(tmp_path, model)
    execution_id = await asked(served)
    async with working(served.service):
        await until_asked(model)
        run = await cancel(MINE, execution_id, served.service)
        assert run.finished is not None
        assert run.finished.status == ExecutionStatus.CANCELLED
        assert (await cancel(MINE, execution_id, served.service)).finished == run.finished
    assert await served.service.work.waiting(WorkKind.EXECUTION) == 0


async def test_another_process_hears_of_a_cancellation_when_it_renews(tmp_path: Path) -> None:
    model = ScriptedModel([ANSWER], latency=30)
    served = serving(tmp_path, model)
    execution_id = await asked(served)
    async with working(served.service):
        await until_asked(model)
        await served.service.work.request_cancel(WorkKind.EXECUTION, MINE, execution_id)
        run = await ended(served, execution_id)
    assert run.finished is not None
    assert run.finished.status == ExecutionStatus.CANCELLED


async def test_an_execution_nobody_drives_is_cancelled_at_once(tmp_path: Path) -> None:
    served = serving(tmp_path)
    execution_id = await asked(served)
    run = await cancel(MINE, execution_id, served.service)
    assert run.finished is not None
    assert run.finished.status == ExecutionStatus.CANCELLED
    assert await served.service.work.claim(WorkKind.EXECUTION, "w", 1) is None


async def test_a_provider_outage_after_work_is_waited_out(tmp_path: Path) -> None:
    down = ProviderFailed("it is down", retryable=True)
    model = ScriptedModel([step("x = 1"), down, down, ANSWER])
    served = serving(tmp_path, model)
    execution_id = await asked(served)
    async with working(served.service):
        run = await ended(served, execution_id)
    assert run.finished is not None
    assert (run.finished.status, run.finished.answer) == (ExecutionStatus.COMPLETED, "alpha")
    assert len(model.requests) == 4


async def test_an_outage_without_end_fails_with_its_reason(tmp_path: Path) -> None:
    def reply(request: ModelRequest) -> str | Exception:
        return ProviderFailed("it is down", retryable=True) if len(request.messages) > 2 else step("x = 1")

    served = serving(tmp_path, ScriptedModel(reply))
    execution_id = await asked(served)
    async with working(served.service):
        run = await ended(served, execution_id)
    assert run.finished is not None
    assert run.finished.error is not None
    assert run.finished.status == ExecutionStatus.FAILED
    assert "it is down" in run.finished.error.message


async def test_a_provider_that_refuses_fails_the_execution_at_once(tmp_path: Path) -> None:
    model = ScriptedModel([step("x = 1"), ProviderFailed("no such model", retryable=False)])
    served = serving(tmp_path, model)
    execution_id = await asked(served)
    async with working(served.service):
        run = await ended(served, execution_id)
    assert run.finished is not None
    assert run.finished.status == ExecutionStatus.FAILED
    assert len(model.requests) == 2


async def test_an_execution_that_breaks_its_worker_is_given_up_with_a_reason(tmp_path: Path) -> None:
    class Broken(InProcessSandbox):
        async def run(self, step: StepRequest, corpus: Corpus) -> StepResult:
            raise ZeroDivisionError("a defect")

    served = serving(tmp_path, ScriptedModel(lambda _: ANSWER))
    sandbox = Broken(served.blobs, tmp_path / "broken")
    served.service = replace(served.service, ports=replace(served.service.ports, sandbox=sandbox))
    execution_id, other = await asked(served), await asked(served)
    async with working(served.service):
        for each in (execution_id, other):
            run = await ended(served, each)
            assert run.finished is not None
            assert run.finished.error is not None
            assert run.finished.status == ExecutionStatus.FAILED
            assert run.finished.error.code == "ATTEMPTS_EXHAUSTED"
            assert "a defect" in run.finished.error.message


async def test_an_execution_whose_workers_die_is_given_up(tmp_path: Path) -> None:
    served = serving(tmp_path, ScriptedModel([ANSWER]))
    execution_id = await asked(served)
    for _ in range(8):
        assert await served.service.work.claim(WorkKind.EXECUTION, "dying", 0.01)
        await asyncio.sleep(0.02)
    async with working(served.service):
        run = await ended(served, execution_id)
    assert run.finished is not None
    assert run.finished.status == ExecutionStatus.FAILED


async def test_an_ingestion_whose_workers_die_is_given_up_with_a_reason(tmp_path: Path) -> None:
    served = serving(tmp_path, ScriptedModel([]))
    docs = (NewDocument("a.txt", await served.upload("alpha")),)
    session_id = (await create_session(MINE, NewSession(docs), served.service)).session.session_id
    for _ in range(4 * QUICK.max_attempts + 1):
        assert await served.service.work.claim(WorkKind.INGESTION, "dying", 0.001)
        await asyncio.sleep(0.002)
    async with working(served.service):

        async def has_failed() -> bool:
            view = await session_view(MINE, session_id, served.service)
            return view.session.status == SessionStatus.FAILED

        await until(has_failed)
    view = await session_view(MINE, session_id, served.service)
    assert view.documents[0].failure is not None
    assert "lost each time" in view.documents[0].failure.message


async def test_an_execution_that_never_began_is_dropped_with_its_row(tmp_path: Path) -> None:
    served = serving(tmp_path, ScriptedModel([]))
    execution_id = await asked(served)
    # whoever submitted it was killed before its journal began
    await served.journal.delete(execution_id)
    await served.service.work.request_cancel(WorkKind.EXECUTION, MINE, execution_id)

    async def is_gone() -> bool:
        return await served.service.ports.catalog.get_execution(MINE, execution_id) is None

    async with working(served.service):
        await until(is_gone)


async def test_a_submission_that_is_killed_leaves_work_to_clean_up(tmp_path: Path) -> None:
    class Killed(MemoryCatalog):
        async def put_execution(self, execution: ExecutionRecord) -> None:
            await super().put_execution(execution)
            raise KeyboardInterrupt

    served = serving(tmp_path, ScriptedModel([]))
    served.service = replace(served.service, ports=replace(served.service.ports, catalog=Killed()))
    view = await served.session("alpha")
    with pytest.raises(KeyboardInterrupt):
        await submit(MINE, view.session.session_id, NewExecution("What?"), served.service)
    rows, _ = await served.service.ports.catalog.list_executions(MINE)
    assert len(rows) == 1
    async with working(served.service, replace(QUICK, max_attempts=1)):

        async def is_clean() -> bool:
            return await served.service.ports.catalog.get_execution(MINE, rows[0].execution_id) is None

        await until(is_clean)


async def test_stopping_gives_back_what_is_not_done(tmp_path: Path) -> None:
    model = ScriptedModel([step("x = 1"), ANSWER, ANSWER], latency=0.3)
    served = serving(tmp_path, model)
    execution_id = await asked(served)
    async with working(served.service):
        await until_asked(model, 2)
    item = await served.service.work.claim(WorkKind.EXECUTION, "next", 5)
    assert item is not None
    assert item.attempts == 1
    await served.service.work.release(item, "next")
    async with working(served.service):
        run = await ended(served, execution_id)
    assert len(run.turns) == 2


async def test_a_parser_that_comes_back_is_waited_for(tmp_path: Path) -> None:
    served = serving(tmp_path)

    class Flaky:
        left = 2

        async def parse_stored(self, *asked: str) -> object:
            if self.left:
                self.left -= 1
                raise ParserFailed(source_name=asked[1], reason="unreachable")
            return await served.service.parser.parse_stored(*asked)

    docs = (NewDocument("a.txt", await served.upload("alpha")),)
    session_id = (await create_session(MINE, NewSession(docs), served.service)).session.session_id
    async with working(replace(served.service, parser=Flaky())):  # type: ignore[arg-type]
        await until_ready(served, session_id)


async def test_a_parser_that_stays_away_fails_the_documents_with_a_reason(tmp_path: Path) -> None:
    served = serving(tmp_path)

    class Away:
        async def parse_stored(self, *asked: str) -> object:
            raise ParserFailed(source_name=asked[1], reason="unreachable")

    docs = (NewDocument("a.txt", await served.upload("alpha")),)
    session_id = (await create_session(MINE, NewSession(docs), served.service)).session.session_id

    async def is_settled() -> bool:
        view = await session_view(MINE, session_id, served.service)
        return view.session.status != SessionStatus.CREATING

    async with working(replace(served.service, parser=Away())):  # type: ignore[arg-type]
        await until(is_settled)
    view = await session_view(MINE, session_id, served.service)
    assert view.session.status == SessionStatus.FAILED
    assert view.documents[0].failure is not None
    assert "unreachable" in view.documents[0].failure.message


async def is_gone(served: Serving, session_id: str) -> bool:
    return await served.service.ports.catalog.get_session(MINE, session_id) is None


async def test_deleting_a_session_stops_what_runs_in_it(tmp_path: Path) -> None:
    model = ScriptedModel([ANSWER], latency=30)
    served = serving(tmp_path, model)
    execution_id = await asked(served)
    row = await served.service.ports.catalog.get_execution(MINE, execution_id)
    assert row is not None
    async with working(served.service):
        await until_asked(model)
        await delete_session(MINE, row.session_id, served.service)
        await until(lambda: is_gone(served, row.session_id))
    assert await served.journal.read(execution_id) == []
    assert await served.stored("raw", "parsed", "state") == []


async def test_a_session_deleted_while_its_item_is_ended_is_removed_at_once(tmp_path: Path) -> None:
    class Late(MemoryWork):
        """Somebody deletes the session in the last moment of its ingestion."""

        async def done(self, item: WorkItem, owner: str) -> None:
            if item.kind == WorkKind.INGESTION:
                with suppress(SessionNotFound):
                    await delete_session(MINE, item.item_id, served.service)
            await super().done(item, owner)

    served = serving(tmp_path, ScriptedModel([]))
    served.service = replace(served.service, work=Late())
    docs = (NewDocument("a.txt", await served.upload("alpha beta")),)
    # the sweep would find it only later
    async with working(served.service, replace(QUICK, sweep=600)):
        view = await create_session(MINE, NewSession(docs), served.service)

        async def is_removed() -> bool:
            return (
                await served.service.ports.catalog.get_session(MINE, view.session.session_id) is None
                and not await served.stored()
            )

        await until(is_removed)


async def test_one_tenants_queue_does_not_hold_up_another(tmp_path: Path) -> None:
    served = serving(tmp_path, ScriptedModel(lambda _: ANSWER, latency=0.03))
    view = await served.session("alpha beta")
    for _ in range(40):
        await submit(MINE, view.session.session_id, NewExecution("What?"), served.service)
    async with working(served.service, replace(QUICK, concurrency=2)):
        await asyncio.sleep(0.1)
        other = await asked(served, THEIRS)
        await ended(served, other, THEIRS)
        assert await served.service.work.waiting(WorkKind.EXECUTION) > 20


async def test_events_are_replayed_and_followed_to_the_end(tmp_path: Path) -> None:
    served = serving(tmp_path, ScriptedModel([step("x = 1"), ANSWER], latency=0.05))
    execution_id = await asked(served)

    async def heard(after: int) -> list[tuple[int, str]]:
        return [(seq, e.type) async for seq, e in follow(MINE, execution_id, after, served.service)]

    async with working(served.service):
        everything = await asyncio.wait_for(heard(-1), 10)
    kinds = ["Started", "RootReplied", "StepRan", "RootReplied", "StepRan", "Finished"]
    assert everything == list(enumerate(kinds))
    assert await heard(3) == everything[4:]


async def test_waiting_ends_with_the_time_allowed(tmp_path: Path) -> None:
    served = serving(tmp_path)
    execution_id = await asked(served)
    assert (await wait(MINE, execution_id, 0.05, served.service)).finished is None


async def test_choices_go_request_over_session_over_settings_field_by_field(tmp_path: Path) -> None:
    served = serving(tmp_path)
    view = await served.session(
        "alpha", budgets_default={"max_turns": 3, "max_step_seconds": 5}, models_default={"sub_model": "s"}
    )
    new = NewExecution("What?", Choices(root_model="r", budgets={"max_turns": 2}))
    execution = (await submit(MINE, view.session.session_id, new, served.service)).execution
    assert (execution.models.root, execution.models.sub) == ("r", "s")
    budgets = execution.budgets
    assert (budgets.max_turns, budgets.max_step_seconds, budgets.max_llm_subcalls) == (2, 5, 50)
