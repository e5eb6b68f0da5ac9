"""Custom tools inside a step: answered by waiting or from the record alike."""

from __future__ import annotations

import json

from rlm_rs.sandbox.executor import ReplayOnly
from rlm_rs.sandbox.protocol import SubcallRequest, SubcallResult, ToolDescription

from .steps import Scripted, failure, replayed, run

ADD = ToolDescription("add", ("a", "b"), ("a",), 2, "(a: int, b: int = 1)", "A sum.")
CODE = """
import asyncio
first = add(1)
pair = await asyncio.gather(add(2, b=3), add(4, 5))
FINAL([first, pair, add.__name__])
"""


def added(request: SubcallRequest) -> str:
    return json.dumps({"sum": sum((request.arguments or {}).values())})


def test_waiting_and_replaying_give_the_same() -> None:
    channel = Scripted(added)
    waited = run(CODE, channel=channel, tools=(ADD,))
    assert [len(batch) for batch in channel.asked] == [1, 2]
    assert channel.asked[1][0].arguments == {"a": 2, "b": 3}
    assert waited.final is not None
    assert waited.final.value == [{"sum": 1}, [{"sum": 5}, {"sum": 9}], "add"]
    again, runs = replayed(CODE, reply=added, tools=(ADD,))
    assert (again.final, runs) == (waited.final, 3)


def test_other_arguments_in_a_replay_are_a_divergence() -> None:
    asked = run("add(1)", channel=ReplayOnly(), tools=(ADD,)).requests[0]
    recorded = SubcallResult(asked.key, asked.digest(), "resolved", "1")
    error = failure("add(2)", channel=ReplayOnly(), results=(recorded,), tools=(ADD,))
    assert error.code == "REPLAY_DIVERGED"


def test_without_tools_the_name_is_not_there() -> None:
    assert "NameError" in failure("add(1)").message


def test_what_a_helper_of_the_step_awaits_is_asked_together_too() -> None:
    channel = Scripted(added)
    code = """
import asyncio
async def twice(n):
    return (await add(n))["sum"] * 2
FINAL(await asyncio.gather(twice(1), twice(2), twice(3)))
"""
    result = run(code, channel=channel, tools=(ADD,))
    assert result.final is not None
    assert result.final.value == [2, 4, 6]
    assert [len(batch) for batch in channel.asked] == [3]
