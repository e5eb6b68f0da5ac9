"""Functions that never return: nobody else waits for them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rlm_rs.core.errors import ToolFailed
from rlm_rs.tools.functions import MAX_THREADS, FunctionTools

EXITS = """
import asyncio, threading
from rlm_rs.tools.functions import FunctionTools

def hang() -> None:
    threading.Event().wait()

async def main() -> None:
    tools = FunctionTools([hang])
    await asyncio.wait({asyncio.ensure_future(tools.call("hang", {})) for _ in range(3)}, timeout=0.1)

asyncio.run(main())
print("ended")
"""


@asynccontextmanager
async def hanging(calls: int) -> AsyncIterator[FunctionTools]:
    """Tools of which so many calls hang, already given up by whoever waited for them."""
    end, begun = threading.Event(), threading.Barrier(calls + 1)

    def hang() -> None:
        begun.wait()
        end.wait()

    def six() -> int:
        return 6

    def last() -> None:
        raise StopIteration("no more")

    tools = FunctionTools([hang, six, last])
    tasks = [asyncio.create_task(tools.call("hang", {})) for _ in range(calls)]
    try:
        await asyncio.to_thread(begun.wait, 20)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        yield tools
    finally:
        end.set()


async def test_hung_calls_hold_up_neither_other_calls_nor_the_loops_own_threads() -> None:
    async with hanging(40) as tools:
        async with asyncio.timeout(20):
            assert await tools.call("six", {}) == 6
            assert await asyncio.to_thread(lambda: 7) == 7
            with pytest.raises(ToolFailed, match="StopIteration"):
                await tools.call("last", {})


async def test_so_many_hung_calls_are_enough() -> None:
    async with hanging(MAX_THREADS) as tools:
        with pytest.raises(ToolFailed, match=f"^six: {MAX_THREADS} earlier calls of tools still hang"):
            await tools.call("six", {})
    async with asyncio.timeout(20):
        while True:
            try:
                assert await tools.call("six", {}) == 6
            except ToolFailed:
                await asyncio.sleep(0.01)
            else:
                break


def test_the_process_ends_with_calls_that_hang() -> None:
    ended = subprocess.run([sys.executable, "-c", EXITS], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ended\n", "")
