"""Awaited calls: asked together, without an event loop of the system."""

from __future__ import annotations

import pytest

from .steps import Scripted, failure, output, replayed, run


def batches(code: str, *texts: str) -> tuple[str, list[list[str]]]:
    channel = Scripted()
    printed = output(code, *(texts or ("text",)), channel=channel)
    return printed, [[request.prompt for request in asked] for asked in channel.asked]


GATHERED = {
    "elements": "r = await asyncio.gather(*[llm_query(p) for p in 'abc'])",
    "arguments": "r = await asyncio.gather(llm_query('a'), llm_query('b'), llm_query('c'))",
    "generator": "r = await asyncio.gather(*(llm_query(p) for p in 'abc'))",
    "named list": "tasks = [llm_query(p) for p in 'abc']\nr = await asyncio.gather(*tasks)",
    "appended": "tasks = []\nfor p in 'abc':\n    tasks.append(llm_query(p))\n"
    "r = await asyncio.gather(*tasks)",
    "tasks": "ts = [asyncio.create_task(llm_query(p)) for p in 'abc']\nr = [await t for t in ts]",
    "workers": "async def w(p):\n    return await llm_query(p)\n"
    "r = await asyncio.gather(*[w(p) for p in 'abc'])",
    "run": """
async def w(p):
    return await llm_query(p)
async def main():
    return await asyncio.gather(*(w(p) for p in 'abc'))
r = asyncio.run(main())""",
    "loop": """
async def main():
    return await asyncio.gather(*[llm_query(p) for p in 'abc'])
r = asyncio.get_event_loop().run_until_complete(main())""",
    "group": """
async with asyncio.TaskGroup() as group:
    ts = [group.create_task(llm_query(p)) for p in 'abc']
r = [t.result() for t in ts]""",
    "threads": """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(max_workers=8) as pool:
    r = list(pool.map(llm_query, 'abc'))""",
    "submitted": """
from concurrent.futures import ThreadPoolExecutor, as_completed
with ThreadPoolExecutor() as pool:
    fs = [pool.submit(llm_query, p) for p in 'abc']
r = [f.result() for f in as_completed(fs)]""",
    "to_thread": "r = await asyncio.gather(*[asyncio.to_thread(llm_query, p) for p in 'abc'])",
}


@pytest.mark.parametrize("code", GATHERED.values(), ids=GATHERED)
def test_what_is_gathered_is_asked_at_once(code: str) -> None:
    printed, asked = batches(f"import asyncio\n{code}\nprint(r)")
    assert printed == "['re: a', 're: b', 're: c']\n"
    assert asked == [["a", "b", "c"]]


def test_without_gathering_a_call_can_be_awaited_or_not() -> None:
    printed, asked = batches("a = await llm_query('a')\nb = llm_query('b')\nc = await b\nprint(a, b, c)")
    assert (printed, asked) == ("re: a re: b re: b\n", [["a"], ["b"]])


def test_a_batch_and_a_search_can_be_awaited() -> None:
    assert output("print(await llm_query_batched(['a', 'b']))", "t") == "['re: a', 're: b']\n"
    assert output("print(await context.search('q'))", "t", search_enabled=True) == "[]\n"


def test_a_semaphore_sets_the_size_of_what_is_asked_at_once() -> None:
    code = """
import asyncio
free = asyncio.Semaphore(2)
async def one(p):
    async with free:
        return await llm_query(p)
print(await asyncio.gather(*[one(p) for p in "abcde"]))
"""
    assert batches(code)[1] == [["a", "b"], ["c", "d"], ["e"]]


def test_tasks_that_go_on_ask_in_rounds() -> None:
    code = """
import asyncio
async def two(p):
    first = await llm_query(p)
    return await llm_query(first + "!")
print(await asyncio.gather(*[two(p) for p in "ab"]))
"""
    assert batches(code)[1] == [["a", "b"], ["re: a!", "re: b!"]]


def test_an_error_in_a_task_belongs_to_whoever_awaits_it() -> None:
    code = """
import asyncio
async def bad(n):
    return 1 / n
print(await asyncio.gather(bad(1), bad(0), return_exceptions=True))
await asyncio.gather(bad(0))
"""
    result = run(code, "t")
    assert result.stdout == "[1.0, ZeroDivisionError('division by zero')]\n"
    assert result.error is not None
    assert (result.error.message, result.error.line) == ("ZeroDivisionError: division by zero", 4)


def test_final_inside_a_task_ends_the_step() -> None:
    result = run("async def f():\n    FINAL('done')\nawait f()\nprint('never')", "t")
    assert result.final is not None
    assert (result.final.answer, result.stdout) == ("done", "")


@pytest.mark.parametrize("code", GATHERED.values(), ids=GATHERED)
def test_replay_takes_the_same_course(code: str) -> None:
    program = f"import asyncio\n{code}\nprint(r)"
    result, runs = replayed(program, "t", reply=lambda request: f"re: {request.prompt}")
    assert (result.error, runs) == (None, 2)
    assert result == run(program, "t")


def test_waiting_for_nothing_is_an_error_and_not_a_hang() -> None:
    assert (
        "nothing will ever complete" in failure("import asyncio\nawait asyncio.Event().wait()", "t").message
    )


def test_sleep_is_refused_and_yielding_is_not() -> None:
    assert "cannot sleep" in failure("import asyncio\nawait asyncio.sleep(1)", "t").message
    assert output("import asyncio\nawait asyncio.sleep(0)\nprint('on')", "t") == "on\n"


def test_more_than_fits_in_one_batch_is_asked_in_several() -> None:
    code = (
        "import asyncio\n"
        "r = await asyncio.gather(*[llm_query(str(n)) for n in range(1500)])\n"
        "print(len(r), r[-1])"
    )
    printed, asked = batches(code)
    assert printed == "1500 re: 1499\n"
    assert [len(batch) for batch in asked] == [1000, 500]


def test_asking_one_by_one_when_await_is_forgotten() -> None:
    code = (
        "import asyncio\ntasks = [llm_query(p) for p in 'ab']\n"
        "print(tasks[0] + '!', len(tasks[1]))\nawait asyncio.gather(*tasks)"
    )
    assert batches(code)[0] == "re: a! 5\n['re: a', 're: b']\n"


def test_names_of_its_own_are_called_as_they_are() -> None:
    code = "async def search(q):\n    return q + '!'\nprint(await search('a'))"
    assert output(code, "t") == "a!\n"


def test_objects_of_its_own_get_text_and_not_something_to_await() -> None:
    code = """
class Pipeline:
    def run(self, text):
        return isinstance(text, str)
print(Pipeline().run(llm_query("a")))
"""
    assert output(code, "t") == "True\n"


def test_a_comprehension_and_a_generator_may_await() -> None:
    code = """
async def each():
    for p in "ab":
        yield await llm_query(p)
print([x async for x in each()], [await llm_query(p) for p in "cd"])
"""
    assert output(code, "t") == "['re: a', 're: b'] ['re: c', 're: d']\n"
