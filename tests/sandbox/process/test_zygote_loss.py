"""Killing the zygote, a child or the parent leaves no orphan, and the next step works."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rlm_rs.core.corpus import Corpus
from rlm_rs.runners.image import CorpusImages
from rlm_rs.runners.process import ProcessConfig, ProcessRunner
from rlm_rs.sandbox.protocol import StepLimits, StepRequest

NOTHING = Corpus("tenant", "session", ())
SLOW = "x = 0\nwhile x < 4_000_000: x += 1\nprint('done')"


def step(code: str) -> StepRequest:
    return StepRequest("execution", 1, code, limits=StepLimits(seconds=10))


def descendants(pid: int) -> set[int]:
    """All live processes below `pid`, by the parent each one states."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state != "Z":
                parents[int(entry.name)] = int(parent)
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def family(pid: int) -> set[int]:
    """A process and all live ones below it: others of this test process are not the runner's."""
    return {pid, *descendants(pid)}


def all_gone(pids: set[int], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)


async def test_a_step_survives_the_loss_of_its_zygote(runner: ProcessRunner) -> None:
    await runner.start()
    task = asyncio.create_task(runner.run(step(SLOW), NOTHING))
    await asyncio.sleep(0.05)
    runner._nursery.process.kill()
    result = await task
    assert (result.error, result.stdout.strip()) == (None, "done")


async def test_losing_the_zygote_twice_is_an_error_of_the_step(runner: ProcessRunner) -> None:
    await runner.start()
    task = asyncio.create_task(runner.run(step("while True: pass"), NOTHING))
    for _ in range(2):
        lost = runner._nursery
        await asyncio.sleep(0.1)
        lost.process.kill()
        await until(lambda lost=lost: runner._nursery is not lost or task.done())
    result = await task
    assert result.error is not None
    assert result.error.code == "SANDBOX_CRASHED"


async def test_the_next_step_works_after_the_zygote_was_killed(runner: ProcessRunner) -> None:
    await runner.start()
    lost = runner._nursery.process.pid
    below = family(lost)
    os.kill(lost, signal.SIGKILL)
    result = await runner.run(step("print('again')"), NOTHING)
    assert result.stdout.strip() == "again"
    assert await asyncio.to_thread(all_gone, below)


async def test_a_waiting_step_runs_again_after_the_zygote_was_killed(runner: ProcessRunner) -> None:
    from .test_process_runner import answered

    asked = step("print(llm_query('one'))")
    first = await runner.run(asked, NOTHING)
    runner._nursery.process.kill()
    result = await runner.run(answered(asked, first.requests), NOTHING)
    assert result.stdout.strip() == "<one>"


async def test_a_child_killed_from_outside_is_an_error_of_its_step_alone(runner: ProcessRunner) -> None:
    await runner.start()
    tasks = {asyncio.create_task(runner.run(step("while True: pass"), NOTHING)) for _ in range(2)}
    await asyncio.sleep(0.1)
    before = {pid: _cpu_ticks(pid) for pid in descendants(os.getpid())}
    await asyncio.sleep(0.3)
    os.kill(max(before, key=lambda pid: _cpu_ticks(pid) - before[pid]), signal.SIGKILL)
    done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result().error is not None for task in done] == [True]
    assert (await runner.run(step("print('next')"), NOTHING)).stdout.strip() == "next"
    assert not any(task.done() for task in left)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def _cpu_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return -1
    return int(fields[11]) + int(fields[12])


HOST = """
import asyncio
import pytest

from rlm_rs.core.corpus import Corpus
from rlm_rs.runners.image import CorpusImages
from rlm_rs.runners.image import CorpusImages
from rlm_rs.runners.process import ProcessRunner, ProcessConfig
from rlm_rs.sandbox.protocol import StepRequest
from rlm_rs.storage.blobs import MemoryBlobs
from pathlib import Path
import sys
async def main():
    without = frozenset(sys.argv[2].split(",")) if sys.argv[2] else frozenset()
    runner = ProcessRunner(CorpusImages(MemoryBlobs(), Path(sys.argv[1])), ProcessConfig(leave_out=without))
    await runner.start()
    asyncio.create_task(runner.run(StepRequest("e", 1, "while True: pass"), Corpus("t", "s", ())))
    await asyncio.sleep(0.3)
    print("running", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def _orphans_after_host_is_killed(tmp_path: Path, leave_out: str) -> bool:
    host = subprocess.Popen([sys.executable, "-c", HOST, str(tmp_path), leave_out], stdout=subprocess.PIPE)
    assert host.stdout is not None
    assert host.stdout.readline() == b"running\n"
    below = descendants(host.pid)
    assert len(below) >= 3
    host.kill()
    host.wait()
    host.stdout.close()
    return not all_gone(below)


def test_killing_the_host_leaves_no_orphan(tmp_path: Path) -> None:
    assert not _orphans_after_host_is_killed(tmp_path, "")


def test_killing_the_host_leaves_no_orphan_without_namespaces(tmp_path: Path) -> None:
    assert not _orphans_after_host_is_killed(tmp_path, "namespaces,landlock")


async def test_every_process_is_gone_after_close(runner: ProcessRunner) -> None:
    await runner.run(step("llm_query('waits')"), NOTHING)
    below = family(runner._nursery.process.pid)
    assert len(below) > 1
    await runner.close()
    assert await asyncio.to_thread(all_gone, below)


@pytest.mark.parametrize("layer", ["seccomp", "rlimits", "everything"])
def test_there_is_no_way_to_leave_out_what_steps_depend_on(images: CorpusImages, layer: str) -> None:
    with pytest.raises(ValueError, match=layer):
        ProcessRunner(images, ProcessConfig(leave_out=frozenset({layer})))
