import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace

import pytest

from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import SandboxFailed
from rlm_rs.runners.image import CorpusImages
from rlm_rs.runners.process import ProcessConfig, ProcessRunner
from rlm_rs.sandbox.protocol import StepLimits, StepRequest, StepResult, SubcallRequest, SubcallResult

from .conftest import MakeCorpus

NOTHING = Corpus("tenant", "session", ())
SHORT = StepLimits(seconds=0.2, memory_mb=64)
ASK_TWICE = "first = llm_query('one')\nprint(first)\nprint(llm_query('two ' + first))"


def step(code: str, turn: int = 1, **fields: object) -> StepRequest:
    return replace(StepRequest("execution", turn, code), **fields)


def answered(asked: StepRequest, requests: Sequence[SubcallRequest]) -> StepRequest:
    results = tuple(
        SubcallResult(request.key, request.digest(), "resolved", f"<{request.prompt}>")
        for request in requests
    )
    return replace(asked, results=asked.results + results)


def error_code(result: StepResult) -> str:
    assert result.error is not None
    return result.error.code


async def test_a_step_runs_and_says_what_it_used(runner: ProcessRunner) -> None:
    result = await runner.run(step("print(6 * 7)"), NOTHING)
    assert (result.status, result.stdout.strip(), result.error) == ("finished", "42", None)
    assert result.usage.cpu_seconds > 0
    assert 1 << 20 < result.usage.peak_memory_bytes < 1 << 30


async def test_a_step_reads_the_documents_of_its_session(
    runner: ProcessRunner, make_corpus: MakeCorpus
) -> None:
    corpus = await make_corpus("plain text", "größer " * 3000)
    result = await runner.run(step("print(len(context), context[1][20_993:20_999])"), corpus)
    assert result.error is None
    assert result.stdout.strip() == "2 größer"
    assert [(span.doc_index, span.start_char, span.end_char) for span in result.spans] == [(1, 20993, 20999)]


async def test_state_and_variables_go_in_and_come_out(runner: ProcessRunner) -> None:
    result = await runner.run(
        step("state['n'] = state['n'] + y; y = 'kept'", state={"n": 1}, variables={"y": 2}), NOTHING
    )
    assert result.state == {"n": 3}
    assert result.variables["y"] == "kept"


async def test_a_failed_step_keeps_its_output_and_changes_no_state(runner: ProcessRunner) -> None:
    result = await runner.run(step("print('before'); state['n'] = 2; 1 / 0", state={"n": 1}), NOTHING)
    assert result.error is not None
    assert "ZeroDivisionError" in result.error.code + result.error.message
    assert result.stdout.strip() == "before"
    assert result.state == {"n": 1}


async def test_a_loop_without_end_is_a_timeout_that_keeps_the_output(runner: ProcessRunner) -> None:
    result = await runner.run(step("print('before')\nwhile True: pass", limits=SHORT), NOTHING)
    assert error_code(result) == "STEP_TIMEOUT"
    assert result.stdout.strip() == "before"


async def test_a_timeout_cannot_be_swallowed(runner: ProcessRunner) -> None:
    code = "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
    result = await runner.run(step(code, limits=SHORT), NOTHING)
    assert error_code(result) == "STEP_TIMEOUT"


async def test_a_loop_in_c_is_ended(runner: ProcessRunner) -> None:
    result = await runner.run(step("sum(range(10**12))", limits=SHORT, state={"n": 1}), NOTHING)
    assert error_code(result) == "STEP_TIMEOUT"
    assert result.state == {"n": 1}


async def test_too_much_memory_is_an_error_of_the_step(runner: ProcessRunner) -> None:
    result = await runner.run(step("x = 'a' * 10**9", limits=SHORT), NOTHING)
    assert error_code(result) == "STEP_MEMORY"


async def test_mapped_documents_do_not_count_as_memory(
    runner: ProcessRunner, make_corpus: MakeCorpus
) -> None:
    corpus = await make_corpus("x" * (100 << 20))
    code = "print(len(context[0]), context[0].find('y'))"
    result = await runner.run(step(code, limits=replace(SHORT, seconds=5.0, memory_mb=32)), corpus)
    assert result.error is None
    assert result.stdout.split() == [str(100 << 20), "[]"]


async def test_a_step_suspends_at_a_call_and_goes_on_with_its_answer(runner: ProcessRunner) -> None:
    asked = step(ASK_TWICE)
    first = await runner.run(asked, NOTHING)
    assert (first.status, [request.prompt for request in first.requests]) == ("suspended", ["one"])
    asked = answered(asked, first.requests)
    second = await runner.run(asked, NOTHING)
    assert [request.prompt for request in second.requests] == ["two <one>"]
    last = await runner.run(answered(asked, second.requests), NOTHING)
    assert last.stdout.split("\n")[:2] == ["<one>", "<two <one>>"]


async def finish(runner: ProcessRunner, asked: StepRequest, forget: bool) -> list[StepResult]:
    results = [await runner.run(asked, NOTHING)]
    while results[-1].status == "suspended":
        asked = answered(asked, results[-1].requests)
        if forget:
            await runner.drop(asked.execution_id)
        results.append(await runner.run(asked, NOTHING))
    return results


async def test_waiting_and_running_again_give_the_same_result(runner: ProcessRunner) -> None:
    """The contract of `Sandbox.run`: whether the child was kept is the runner's own business."""
    code = "import random\nstate['r'] = random.random()\n" + ASK_TWICE + "\nx = llm_query_batched(['a', 'b'])"
    waited = await finish(runner, step(code), forget=False)
    again = await finish(runner, step(code), forget=True)
    assert len(waited) == len(again) == 4
    assert [replace(result, usage=waited[0].usage) for result in waited] == [
        replace(result, usage=waited[0].usage) for result in again
    ]


async def test_a_waiting_step_really_waits(runner: ProcessRunner) -> None:
    """The work before the call is not done a second time: the CPU time of both parts adds up in one child."""
    code = "x = sum(i * i for i in range(300_000))\nllm_query('one')"
    asked = step(code)
    first = await runner.run(asked, NOTHING)
    began = asyncio.get_running_loop().time()
    result = await runner.run(answered(asked, first.requests), NOTHING)
    took = asyncio.get_running_loop().time() - began
    assert result.error is None
    assert result.usage.cpu_seconds > took


async def test_waiting_time_is_not_the_steps_own(runner: ProcessRunner) -> None:
    asked = step("llm_query('one')", limits=SHORT)
    first = await runner.run(asked, NOTHING)
    await asyncio.sleep(1.2)
    result = await runner.run(answered(asked, first.requests), NOTHING)
    assert result.error is None
    assert result.usage.wall_seconds < 1.0


async def test_other_answers_than_the_recorded_ones_start_afresh(runner: ProcessRunner) -> None:
    asked = step("print(llm_query('one'))")
    first = await runner.run(asked, NOTHING)
    other = replace(asked, code="print(llm_query('one'), 'changed')")
    result = await runner.run(answered(other, first.requests), NOTHING)
    assert result.stdout.strip() == "<one> changed"


async def test_no_more_children_wait_than_allowed(runner: ProcessRunner) -> None:
    asked = [step("print(llm_query('one'))", turn=turn) for turn in range(6)]
    first = [await runner.run(one, NOTHING) for one in asked]
    assert len(runner._suspended) == 3
    for one, result in zip(asked, first, strict=True):
        last = await runner.run(answered(one, result.requests), NOTHING)
        assert last.stdout.strip() == "<one>"


async def test_dropping_an_execution_ends_its_waiting_children_alone(runner: ProcessRunner) -> None:
    await runner.run(step("llm_query('a')"), NOTHING)
    await runner.run(replace(step("llm_query('a')"), execution_id="other"), NOTHING)
    await runner.drop("execution")
    assert len(runner._suspended) == 1


async def test_many_steps_at_once_all_finish(runner: ProcessRunner) -> None:
    results = await asyncio.gather(*(runner.run(step(f"print({n})"), NOTHING) for n in range(64)))
    assert [int(result.stdout) for result in results] == list(range(64))


async def test_steps_do_not_see_each_other(runner: ProcessRunner) -> None:
    await runner.run(step("import re, json\nre.marked = 1\nleft = 1"), NOTHING)
    result = await runner.run(step("import re\nprint(hasattr(re, 'marked'), 'left' in globals())"), NOTHING)
    assert "False" in result.stdout or result.error is not None
    assert "True" not in result.stdout


async def test_a_hundred_steps_leave_nothing_behind(runner: ProcessRunner) -> None:
    await runner.run(step("1"), NOTHING)
    before = len(os.listdir("/proc/self/fd"))
    await asyncio.gather(*(runner.run(step("1"), NOTHING) for _ in range(100)))
    await settled(runner)
    assert len(os.listdir("/proc/self/fd")) <= before + 2
    assert len(runner._nursery.alive) <= 4


async def settled(runner: ProcessRunner) -> None:
    """Wait until the zygote has reported every child that ended."""
    for _ in range(100):
        if len(runner._nursery.alive) <= 2:
            return
        await asyncio.sleep(0.01)


async def test_a_cancelled_step_is_ended(runner: ProcessRunner) -> None:
    await runner.start()
    task = asyncio.create_task(runner.run(step("while True: pass"), NOTHING))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settled(runner)
    assert len(runner._nursery.alive) <= 2


async def test_a_closed_runner_refuses_and_leaves_no_process(images: CorpusImages) -> None:
    runner = ProcessRunner(images, ProcessConfig(spares=1))
    await runner.run(step("1"), NOTHING)
    process = runner._nursery.process
    await runner.close()
    assert process.poll() is not None
    with pytest.raises(SandboxFailed):
        await runner.run(step("1"), NOTHING)
