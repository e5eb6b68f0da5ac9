"""The library from several threads and event loops, while closing, after a fork and from its own work."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rlm_rs import RLM, Client
from rlm_rs.testing.models import ScriptedModel
from rlm_rs.waiting import LoopThread

FINAL = "```repl\nFINAL('done')\n```"
PATIENCE_SECONDS = 30.0


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    (tmp_path / "note.md").write_text("The price is 100 dollars.\n")
    return tmp_path / "note.md"


async def for_ever(begun: threading.Event) -> None:
    begun.set()
    await asyncio.Event().wait()


def test_threads_that_come_first_at_once_share_one_loop(tmp_path: Path) -> None:
    count = 16
    together = threading.Barrier(count)
    for number in range(20):
        rlm = RLM(provider=ScriptedModel([FINAL]), data_dir=tmp_path / str(number))

        def first(rlm: RLM = rlm) -> LoopThread:
            together.wait(PATIENCE_SECONDS)
            return rlm.loop

        with ThreadPoolExecutor(count) as threads:
            loops = {future.result() for future in [threads.submit(first) for _ in range(count)]}
        rlm.close()
        for loop in loops:
            loop.stop()
        assert len(loops) == 1


def test_threads_ask_one_fresh_rlm_at_once(tmp_path: Path, paper: Path) -> None:
    with (
        RLM(provider=ScriptedModel([FINAL] * 3), data_dir=tmp_path / "data") as rlm,
        ThreadPoolExecutor(3) as threads,
    ):
        asked = [threads.submit(rlm.ask, f"Question {number}?", paper) for number in range(3)]
        assert [future.result(PATIENCE_SECONDS).text for future in asked] == ["done"] * 3


def test_who_waits_while_it_is_closed_gets_an_error(tmp_path: Path, paper: Path) -> None:
    model = ScriptedModel([FINAL], latency=600)
    rlm = RLM(provider=model, data_dir=tmp_path / "data")
    begun = threading.Event()
    rlm.listen(lambda *_: begun.set())
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(rlm.ask, "What is the price?", paper)
        assert begun.wait(PATIENCE_SECONDS)
        rlm.close()
        with pytest.raises(RuntimeError, match="It is closed"):
            asked.result(PATIENCE_SECONDS)


def test_what_is_under_way_is_cancelled_before_the_last_work() -> None:
    loop, begun, order = LoopThread(), threading.Event(), []

    async def work() -> None:
        try:
            await for_ever(begun)
        finally:
            order.append("cancelled")

    async def last() -> None:
        order.append("last")

    with ThreadPoolExecutor(1) as threads:
        waiter = threads.submit(lambda: loop.wait(work()))
        assert begun.wait(PATIENCE_SECONDS)
        loop.stop(last)
        with pytest.raises(RuntimeError, match="It is closed"):
            waiter.result(PATIENCE_SECONDS)
    assert order == ["cancelled", "last"]
    with pytest.raises(RuntimeError, match="It is closed"):
        loop.wait(work())


def test_an_iterator_that_is_left_while_it_is_closed_ends() -> None:
    loop, ended = LoopThread(), []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            ended.append(True)

    items = loop.each(numbers())
    assert next(items) == 1
    loop.stop()
    assert ended == [True]
    with pytest.raises(RuntimeError, match="It is closed"):
        next(items)


def test_a_listener_that_waits_for_the_loop_it_runs_on_is_told(tmp_path: Path, paper: Path) -> None:
    with RLM(provider=ScriptedModel([FINAL]), data_dir=tmp_path / "data") as rlm:
        rlm.listen(lambda execution_id, *_: rlm.report(execution_id))
        with pytest.raises(RuntimeError, match="cannot wait for the work it is called from"):
            rlm.ask("What is the price?", paper)


def test_a_progress_function_that_closes_is_told(tmp_path: Path, paper: Path) -> None:
    with (
        RLM(provider=ScriptedModel([FINAL]), data_dir=tmp_path / "data") as rlm,
        pytest.raises(RuntimeError, match="cannot wait"),
    ):
        rlm.session(paper, progress=lambda *_: rlm.close())


def in_a_fork(work: Callable[[], Any]) -> str:
    """What the work raises in a forked process, which is ended if it hangs."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            threading.Timer(PATIENCE_SECONDS, os._exit, (1,)).start()
            work()
        except RuntimeError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def test_a_forked_process_is_told_that_it_needs_its_own(tmp_path: Path, paper: Path) -> None:
    with RLM(provider=ScriptedModel([FINAL]), data_dir=tmp_path / "data") as rlm:
        session = rlm.session(paper)

        def closed_before() -> None:
            rlm.close()
            session.ask("What is the price?")

        assert "before this process was forked" in in_a_fork(lambda: session.ask("What is the price?"))
        assert "before this process was forked" in in_a_fork(closed_before)
        assert in_a_fork(rlm.close) == ""
        assert session.ask("What is the price?").text == "done"


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    with Client("http://127.0.0.1:9", "key") as client:
        client.close()
    client.close()
    with pytest.raises(RuntimeError, match="It is closed"):
        client.list_sessions()
    with RLM(provider=ScriptedModel([FINAL]), data_dir=tmp_path / "data") as rlm:
        assert rlm.executions() == []
        rlm.close()
    rlm.close()


def test_each_asyncio_run_has_parts_of_its_own(tmp_path: Path, paper: Path) -> None:
    heard: list[str] = []
    rlm = RLM(provider=ScriptedModel([FINAL] * 3), data_dir=tmp_path / "data")
    rlm.listen(lambda execution_id, *_: heard.append(execution_id))
    answers = [asyncio.run(rlm.aask(f"Question {number}?", paper)) for number in range(2)]
    assert rlm.ask("Question 2?", paper).text == "done"
    assert [answer.text for answer in answers] == ["done", "done"]
    assert len(set(heard)) == 3
    rlm.close()


def test_what_another_live_loop_uses_is_not_used_beside_it(tmp_path: Path, paper: Path) -> None:
    async def beside(rlm: RLM) -> None:
        with pytest.raises(RuntimeError, match="another event loop, which still runs"):
            await rlm.aask("What is the price?", paper)

    with RLM(provider=ScriptedModel([FINAL]), data_dir=tmp_path / "data") as rlm:
        rlm.ask("What is the price?", paper)
        asyncio.run(beside(rlm))


class Lasting(ScriptedModel):
    """A model that counts how often it is closed."""

    closed = 0

    async def close(self) -> None:
        self.closed += 1


def test_the_end_of_asyncio_run_ends_what_it_used_but_not_the_callers_provider(
    tmp_path: Path, paper: Path
) -> None:
    model = Lasting([FINAL])
    rlm = RLM(provider=model, data_dir=tmp_path / "data")
    asyncio.run(rlm.aask("What is the price?", paper))
    assert not list((tmp_path / "data" / "spool").glob("spool_*"))
    assert model.closed == 0
    rlm.close()
    assert model.closed == 1


def test_a_loop_that_was_closed_without_more_ado_is_not_used_again(tmp_path: Path) -> None:
    rlm = RLM(provider=ScriptedModel([FINAL]), data_dir=tmp_path / "data")
    for _ in range(2):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(rlm.aexecutions()) == []
        loop.close()
    assert rlm.executions() == []
    rlm.close()
