"""What is removed stays away, whoever writes meanwhile, and what cannot be removed keeps nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from serving import MINE, THEIRS, Serving, serving
from stage import BUCKET, step

from rlm_rs.core.errors import ExecutionNotFound, Fenced, SessionNotFound, ValidationFailed
from rlm_rs.core.execution import RootReplied
from rlm_rs.core.records import SessionRecord, SessionStatus, WorkKind
from rlm_rs.orchestrator.event_log import EventLog
from rlm_rs.orchestrator.executions import Choices, NewExecution, go_on, submit
from rlm_rs.orchestrator.lifecycle import delete_session, expire_sessions, ingest_session
from rlm_rs.orchestrator.removal import remove_left_behind, remove_session
from rlm_rs.orchestrator.runtime import NewRuntime, create_runtime
from rlm_rs.orchestrator.runtime import step as client_step
from rlm_rs.storage.memory import MemoryCatalog, MemoryJournal
from rlm_rs.testing.models import ScriptedModel

LATER = 10_000.0
LONG = "x" * 100_000
"""More than an event's record holds: it is an object of its own."""


def serving_with(directory: Path, *replies: str, sub: Any = "a summary", **ports: Any) -> Serving:
    served = serving(directory, ScriptedModel(list(replies), sub))
    served.service = replace(served.service, ports=replace(served.service.ports, **ports))
    return served


async def removed(served: Serving, session_id: str) -> None:
    """As if a worker of another process did it: nobody here is told."""
    await delete_session(MINE, session_id, served.service)
    await ingest_session(MINE, session_id, served.service)


async def nothing_left(served: Serving, *journals: str) -> bool:
    rows, _ = await served.service.ports.catalog.list_executions(MINE)
    read = [await served.journal.read(journal) for journal in journals]
    return not rows and not any(read) and await served.stored() == []


async def test_a_session_that_cannot_be_removed_keeps_no_other(tmp_path: Path) -> None:
    class Broken(MemoryCatalog):
        async def delete_session(self, tenant_id: str, session_id: str) -> None:
            raise RuntimeError("the store has a hole here")

        async def move_session(self, session: SessionRecord, expected: SessionStatus) -> bool:
            if session.session_id == broken and session.status == SessionStatus.EXPIRED:
                raise RuntimeError("the store has a hole here")
            return await super().move_session(session, expected)

    broken = ""
    served = serving_with(tmp_path, catalog=Broken())
    broken = (await served.session("mine", ttl_minutes=1)).session.session_id
    theirs = [await served.session("theirs", tenant=THEIRS, ttl_minutes=2) for _ in range(3)]
    assert await expire_sessions(time.time() + LATER, served.service) == len(theirs)
    assert await served.stored() == []


async def test_a_lost_payload_does_not_keep_its_session(tmp_path: Path) -> None:
    served = serving_with(tmp_path, step(f"print('{LONG[:60_000]}')"), step("FINAL('done')"))
    session_id = (await served.session("alpha", ttl_minutes=1)).session.session_id
    run = await submit(MINE, session_id, NewExecution("What?"), served.service)
    await go_on(MINE, run.execution.execution_id, served.service.ports)
    payloads = await served.stored("state")
    assert payloads
    await served.blobs.delete(payloads[0])
    assert await expire_sessions(time.time() + LATER, served.service) == 1
    assert await served.stored("raw", "parsed", "state", "traces") == []
    assert await served.journal.read(run.execution.execution_id) == []


async def test_a_sweep_ends_when_its_worker_is_to_stop(tmp_path: Path) -> None:
    served = serving_with(tmp_path)
    for _ in range(2):
        await served.session("alpha", ttl_minutes=1)
    stop = asyncio.Event()
    stop.set()
    assert await expire_sessions(time.time() + LATER, served.service, stop) == 0


async def test_nobody_waits_for_an_execution_that_waits_for_its_client(tmp_path: Path) -> None:
    served = serving_with(tmp_path)
    for _ in range(3):
        session_id = (await served.session("alpha", ttl_minutes=1)).session.session_id
        await create_runtime(MINE, session_id, NewRuntime(Choices()), served.service)
    async with asyncio.timeout(4):
        assert await expire_sessions(time.time() + LATER, served.service) == 3
    assert await nothing_left(served)


async def test_nobody_waits_for_executions_that_no_worker_has_begun(tmp_path: Path) -> None:
    served = serving_with(tmp_path)
    session_id = (await served.session("alpha")).session.session_id
    for _ in range(20):
        await submit(MINE, session_id, NewExecution("What?"), served.service)
    async with asyncio.timeout(4):
        await removed(served, session_id)
    assert await nothing_left(served)
    assert await served.service.work.waiting(WorkKind.EXECUTION) == 0


async def test_a_sweep_does_not_bring_back_what_was_deleted(tmp_path: Path) -> None:
    served = serving_with(tmp_path)
    view = await served.session("alpha", ttl_minutes=1)
    await removed(served, view.session.session_id)
    # another process listed it before
    await remove_session(view.session, served.service)
    assert await served.service.ports.catalog.get_session(MINE, view.session.session_id) is None


class Interposing(MemoryJournal):
    """Does something just before a record is written, once, and lists whose journals are there."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: Callable[[str, int], bool] = lambda _execution_id, _seq: False
        self.act: Callable[[], Awaitable[None]] | None = None

    async def append(self, execution_id: str, seq: int, record: bytes) -> None:
        act = self.act
        if act and self.wanted(execution_id, seq):
            self.act = None
            await act()
        await super().append(execution_id, seq, record)

    def executions(self) -> list[str]:
        return [execution_id for execution_id, records in self._records.items() if records]


def interposed(directory: Path, *replies: str) -> tuple[Serving, Interposing]:
    served, journal = serving_with(directory, *replies), Interposing()
    log = EventLog(journal, served.blobs, BUCKET)
    served.journal = journal
    served.service = replace(served.service, ports=replace(served.service.ports, log=log))
    return served, journal


@pytest.mark.parametrize("runtime", [False, True])
async def test_an_execution_begun_while_its_session_goes_leaves_nothing(
    tmp_path: Path, runtime: bool
) -> None:
    served, journal = interposed(tmp_path)
    session_id = (await served.session("alpha")).session.session_id
    journal.wanted = lambda _execution_id, seq: seq == 0
    journal.act = lambda: removed(served, session_id)
    beginning = (
        create_runtime(MINE, session_id, NewRuntime(Choices()), served.service)
        if runtime
        else submit(MINE, session_id, NewExecution("What?"), served.service)
    )
    with pytest.raises(SessionNotFound):
        await beginning
    assert await nothing_left(served)
    assert journal.executions() == []


async def test_a_record_that_comes_too_late_leaves_no_payload(tmp_path: Path) -> None:
    served, journal = interposed(tmp_path)
    session_id = (await served.session("alpha")).session.session_id
    run = await submit(MINE, session_id, NewExecution("What?"), served.service)
    journal.wanted = lambda _execution_id, seq: seq == 1
    journal.act = lambda: removed(served, session_id)
    reply = RootReplied(turn=0, text=LONG, model="m", cost_usd=0.0)
    with pytest.raises(Fenced):
        await served.service.ports.log.append(run, reply)
    assert await nothing_left(served, run.execution.execution_id)


async def test_a_child_of_a_removed_execution_does_not_begin(tmp_path: Path) -> None:
    served, journal = interposed(tmp_path, step("FINAL('child')"))
    session_id = (await served.session("alpha")).session.session_id
    run = await create_runtime(MINE, session_id, NewRuntime(Choices()), served.service)
    execution_id = run.execution.execution_id
    journal.wanted = lambda begun, _seq: begun != execution_id
    journal.act = lambda: served.service.ports.log.remove(MINE, execution_id)
    with pytest.raises(ExecutionNotFound):
        await client_step(MINE, execution_id, "print(rlm_query('What?'))", None, False, served.service)
    assert journal.executions() == []


async def test_what_a_worker_wrote_after_the_removal_goes_too(tmp_path: Path) -> None:
    served = serving_with(tmp_path, step("FINAL('done')"))
    session_id = (await served.session("alpha")).session.session_id
    run = await submit(MINE, session_id, NewExecution("What?"), served.service)
    execution_id = run.execution.execution_id
    await go_on(MINE, execution_id, served.service.ports)
    row = await served.service.ports.catalog.get_execution(MINE, execution_id)
    assert row is not None
    await removed(served, session_id)
    await served.service.ports.catalog.put_execution(row)
    await remove_left_behind(MINE, execution_id, served.service)
    assert await nothing_left(served, execution_id)


async def test_nesting_without_end_is_refused(tmp_path: Path) -> None:
    served = serving_with(tmp_path)
    session_id = (await served.session("alpha")).session.session_id
    new = NewExecution("What?", Choices(budgets={"max_depth": 60}))
    with pytest.raises(ValidationFailed, match="max_depth must be at most"):
        await submit(MINE, session_id, new, served.service)
