"""The loop: from a question to an outcome, whatever the model writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from stage import Stage, last_step, outcome, step, steps, subcalls

from rlm_rs.core.errors import ProviderFailed
from rlm_rs.core.execution import RootReplied
from rlm_rs.core.model import ModelReply, ModelRequest, ToolCall
from rlm_rs.core.records import ExecutionStatus

MakeStage = Callable[..., Awaitable[Stage]]

CONTRACT = "1. Term.\n\n2. Either party may terminate this Agreement on thirty (30) days written notice.\n"


async def test_a_step_that_calls_final_answers(staged: MakeStage) -> None:
    stage = await staged([step("FINAL('thirty days')")], texts=[CONTRACT])
    run = await stage.ask()
    end = outcome(run)
    assert (end.status, end.answer, end.partial, end.error) == (
        ExecutionStatus.COMPLETED,
        "thirty days",
        False,
        None,
    )
    assert run.spend.turns == 1
    assert stage.sandbox.dropped == ["exec_1"]
    row = await stage.catalog.get_execution("local", "exec_1")
    assert row is not None
    assert (row.status, row.turns) == (ExecutionStatus.COMPLETED, 1)


async def test_the_root_sees_what_its_step_printed_and_never_the_text(staged: MakeStage) -> None:
    stage = await staged([step("print(len(context[0]))"), step("FINAL('done')")], texts=[CONTRACT])
    await stage.ask()
    first, second = stage.model.requests
    assert "contract-0.txt" in first.messages[1].content
    assert f"OUTPUT\n{len(CONTRACT)}\n" in second.messages[-1].content
    assert all(
        "thirty" not in message.content for request in stage.model.requests for message in request.messages
    )


async def test_variables_and_state_are_kept_between_steps(staged: MakeStage) -> None:
    stage = await staged(
        [step("found = [1, 2]\nstate['n'] = 3"), step("found.append(state['n'])"), step("FINAL(found)")]
    )
    assert outcome(await stage.ask()).answer == "[1, 2, 3]"


async def test_a_queued_subcall_is_resolved_before_the_next_turn(staged: MakeStage) -> None:
    stage = await staged(
        [
            step("tool.queue_llm('a', 'first?')\ntool.queue_llm('b', 'second?')\ntool.YIELD('waiting')"),
            step("r = state['_tool_results']['llm']\nFINAL(r['a']['text'] + r['b']['text'])"),
        ],
        lambda request: request.messages[0].content.upper(),
    )
    run = await stage.ask()
    assert outcome(run).answer == "FIRST?SECOND?"
    assert run.tool_status == {"a": "resolved", "b": "resolved"}
    assert "a: resolved" in stage.model.requests[-1].messages[-1].content


async def test_a_call_that_returns_goes_on_where_it_was(staged: MakeStage) -> None:
    code = """
print("before")
one = llm_query("one")
many = llm_query_batched([f"{one}{i}" for i in range(3)])
print(many)
FINAL(many[-1])
"""
    stage = await staged([step(code)], lambda request: f"<{request.messages[0].content}>")
    run = await stage.ask()
    assert outcome(run).answer == "<<one>2>"
    assert last_step(run).stdout == "before\n['<<one>0>', '<<one>1>', '<<one>2>']\n"
    assert [result.status for result in steps(await stage.events())] == ["suspended", "suspended", "finished"]


async def test_awaited_and_gathered_calls_work_too(staged: MakeStage) -> None:
    code = """
import asyncio
a, b = await asyncio.gather(llm_query("a"), llm_query("b"))
FINAL(a + b)
"""
    stage = await staged([step(code)], lambda request: request.messages[0].content * 2)
    assert outcome(await stage.ask()).answer == "aabb"


async def test_an_error_in_a_step_keeps_output_and_variables_and_reverts_state(staged: MakeStage) -> None:
    stage = await staged(
        [
            step("state['n'] = 1"),
            step("kept = 7\nstate['n'] = 2\nprint('seen')\nanswered = llm_query('paid')\n1 / 0"),
            step("FINAL([kept, state['n'], answered])"),
        ],
        "a reply",
    )
    run = await stage.ask()
    assert outcome(run).answer == '[7, 1, "a reply"]'
    told = stage.model.requests[-1].messages[-1].content
    assert "seen" in told
    assert "ZeroDivisionError" in told
    assert "line 5" in told
    assert len(stage.model.requests) == 4


async def test_a_block_with_a_syntax_error_does_not_undo_the_one_before(staged: MakeStage) -> None:
    stage = await staged(
        ["```repl\nx = 5\nprint('ran')\n```\n```repl\nFINAL(x\n```", step("FINAL(x)")], texts=[CONTRACT]
    )
    run = await stage.ask()
    assert outcome(run).answer == "5"
    first = run.turns[0].step
    assert first is not None
    assert first.stdout == "ran\n"
    assert first.error is not None
    assert "block 2" in first.error.message


async def test_a_reply_without_code_is_corrected_and_counts_as_a_turn(staged: MakeStage) -> None:
    stage = await staged(["I would look first, then FINAL(x).", step("FINAL('x')")])
    run = await stage.ask()
    assert outcome(run).answer == "x"
    assert run.spend.turns == 2
    assert "no code" in stage.model.requests[1].messages[-1].content


async def test_a_root_that_never_writes_code_ends(staged: MakeStage) -> None:
    stage = await staged(lambda request: "Well, let me think about this.")
    end = outcome(await stage.ask(max_turns=3))
    assert end.status == ExecutionStatus.MAX_TURNS_EXCEEDED
    assert end.partial
    assert end.answer == "Well, let me think about this."
    assert len(stage.model.requests) == 4


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("It is clear now.\nFINAL(thirty days)", "thirty days"),
        ('FINAL("""two\nlines""")', "two\nlines"),
        ("FINAL_VAR(found)", "from a variable"),
        ('FINAL_VAR("found")', "from a variable"),
        ("FINAL(found)", "from a variable"),
        ('FINAL("found")', "found"),
        ("FINAL_VAR(numbers)", "[1, 2]"),
        ("FINAL_VAR(in_state)", "from state"),
        ("FINAL_VAR(passage)", CONTRACT[:40]),
        ("FINAL({(1, 2): 3})", "{(1, 2): 3}"),
        ("FINAL(0x" + "f" * 5000 + ")", "0x" + "f" * 5000),
        (r'FINAL("\ud800")', "\ufffd"),
    ],
)
async def test_a_text_level_final_ends_a_reply_without_code(
    staged: MakeStage, reply: str, expected: str
) -> None:
    kept = "found = 'from a variable'\nnumbers = [1, 2]\nstate['in_state'] = 'from state'\n"
    prepared = step(f"{kept}passage = context[0][:40]")
    stage = await staged([prepared, reply], texts=[CONTRACT])
    assert outcome(await stage.ask()).answer == expected


async def test_a_text_level_final_of_no_variable_is_told_so(staged: MakeStage) -> None:
    stage = await staged(["FINAL_VAR(nothing)", step("FINAL(1)")])
    assert outcome(await stage.ask()).answer == "1"
    assert "no variable nothing" in stage.model.requests[1].messages[-1].content


async def test_a_native_tool_call_is_run_and_shown_in_the_conversation(staged: MakeStage) -> None:
    call = ModelReply("", "scripted-root", tool_calls=(ToolCall("python", '{"code": "print(6 * 7)"}'),))
    stage = await staged([call, step("FINAL('done')")])
    await stage.ask()
    assert "print(6 * 7)" in stage.model.requests[1].messages[-2].content
    assert "OUTPUT\n42\n" in stage.model.requests[1].messages[-1].content


ODD_STATE: dict[str, str] = {
    "tuple": "state['x'] = (1, 2)",
    "set": "state['x'] = {1, 2}",
    "huge integer": "state['x'] = 10**60",
    "huge float": "state['x'] = 1e300",
    "nan": "state['x'] = float('nan')",
    "infinity": "state['x'] = float('-inf')",
    "cycle": "x = []\nx.append(x)\nstate['x'] = x",
    "lone surrogate": "state['x'] = '\\ud800'",
    "lone surrogate key": "state['\\ud800'] = 1",
    "bytes": "state['x'] = b'\\xff'",
    "function": "state['x'] = len",
    "object": "state['x'] = object()",
    "number as key": "state[(1, 2)] = 3",
    "very deep": "x = 1\nfor _ in range(100_000): x = [x]\nstate['x'] = x",
    "too large": "state['x'] = 'y' * 2_000_000",
    "rebound": "state = 5",
    "reserved": "state['_tool_results'] = 1",
    "document": "state['x'] = context[0]",
}


@pytest.mark.parametrize("name", ODD_STATE)
async def test_odd_state_never_ends_an_execution(staged: MakeStage, name: str) -> None:
    stage = await staged([step(ODD_STATE[name]), step("FINAL('went on')")], texts=[CONTRACT])
    run = await stage.ask()
    assert (outcome(run).status, outcome(run).answer) == (ExecutionStatus.COMPLETED, "went on")
    again = await stage.log.replay("local", "exec_1")
    assert again == run


ODD_ANSWERS: dict[str, tuple[str, str]] = {
    "number": ("tool.FINAL(42)", "42"),
    "nothing": ("FINAL(None)", ""),
    "dict": ("FINAL({'a': [1, 2]})", '{"a": [1, 2]}'),
    "tuple": ("FINAL((1, 2))", "[1, 2]"),
    "huge integer": ("FINAL(10**60)", str(10**60)),
    "infinity": ("FINAL(float('inf'))", "inf"),
    "lone surrogate": ("FINAL('a\\ud800')", "a\ufffd"),
    "object": ("class A:\n    def __str__(self): return 'mine'\nFINAL(A())", "mine"),
    "variable by name": ("x = 'y'\nFINAL_VAR('x')", "y"),
    "submitted": ("SUBMIT('y')", "y"),
    "dict set ready": ("answer['content'] = 'y'\nanswer['ready'] = True", "y"),
    "dict rebound": ("answer = {'content': 'y', 'ready': True}", "y"),
}


@pytest.mark.parametrize("name", ODD_ANSWERS)
async def test_any_value_is_an_answer(staged: MakeStage, name: str) -> None:
    code, expected = ODD_ANSWERS[name]
    stage = await staged([step(code)], texts=[CONTRACT])
    assert outcome(await stage.ask()).answer == expected


async def test_an_answer_of_five_megabytes_comes_back_whole(staged: MakeStage) -> None:
    stage = await staged([step("FINAL('0123456789' * 500_000)")], texts=[CONTRACT])
    run = await stage.ask()
    assert outcome(run).answer == "0123456789" * 500_000
    assert max(len(record) for _, _, record in stage.journal.appended) < 100_000
    assert await stage.log.replay("local", "exec_1") == run


async def test_a_prose_reply_of_five_megabytes_is_a_turn_like_any_other(staged: MakeStage) -> None:
    stage = await staged(["The parties agree. " * 270_000, step("FINAL('x')")])
    assert outcome(await stage.ask()).answer == "x"
    assert stage.model.requests[1].prompt_chars < 100_000


async def test_much_output_is_cut_with_what_was_left_out_said(staged: MakeStage) -> None:
    stage = await staged([step("print('a' * 1_000_000)\nprint('the end')"), step("FINAL('x')")])
    await stage.ask()
    told = stage.model.requests[1].messages[-1].content
    assert len(told) < 20_000
    assert "the end" in told
    assert "left out" in told


async def test_a_failed_subcall_is_an_answer_the_code_can_read(staged: MakeStage) -> None:
    def sub(request: ModelRequest) -> str | Exception:
        fails = "two" in request.messages[0].content
        return ProviderFailed("the model is overloaded") if fails else "fine"

    stage = await staged([step("FINAL(llm_query_batched(['one', 'two', 'three']))")], sub)
    run = await stage.ask()
    assert outcome(run).status == ExecutionStatus.COMPLETED
    assert outcome(run).answer == '["fine", "ERROR: LLM_PROVIDER_ERROR: the model is overloaded", "fine"]'
    resolved = {event.request.key: event.result.status for event in subcalls(await stage.events())}
    assert resolved == {"0.0": "resolved", "0.1": "error", "0.2": "resolved"}


async def test_a_failing_root_ends_the_execution_with_one_line(staged: MakeStage) -> None:
    stage = await staged([ProviderFailed("the key was refused (401)")])
    run = await stage.ask()
    end = outcome(run)
    assert end.status == ExecutionStatus.FAILED
    assert end.error is not None
    assert (end.error.code, end.error.message) == ("LLM_PROVIDER_ERROR", "the key was refused (401)")
    assert (await stage.events())[-1] == end
    row = await stage.catalog.get_execution("local", "exec_1")
    assert row is not None
    assert row.status == ExecutionStatus.FAILED


async def test_a_root_that_fails_after_work_was_done_leaves_the_execution_open(staged: MakeStage) -> None:
    stage = await staged([step("x = 1"), ProviderFailed("no connection"), step("FINAL(x)")])
    with pytest.raises(ProviderFailed, match="no connection") as failed:
        await stage.ask()
    assert failed.value.details["execution_id"] == "exec_1"
    run = await stage.resume()
    assert (outcome(run).status, outcome(run).answer) == (ExecutionStatus.COMPLETED, "1")
    assert len(stage.model.requests) == 3


async def test_a_finished_execution_is_not_worked_on_again(staged: MakeStage) -> None:
    stage = await staged([ProviderFailed("no")])
    run = await stage.ask()
    again = await stage.resume()
    assert again == run
    assert len(stage.model.requests) == 1


async def test_search_without_an_index_is_an_error_the_code_can_read(staged: MakeStage) -> None:
    stage = await staged(
        [step("tool.queue_search('s', 'notice')"), step("FINAL(state['_tool_status'])")], texts=[CONTRACT]
    )
    run = await stage.ask()
    assert outcome(run).status == ExecutionStatus.COMPLETED


async def test_events_carry_what_a_listener_wants_to_show(staged: MakeStage) -> None:
    stage = await staged([step("FINAL(llm_query('x'))")], "y")
    seen: list[Any] = []
    stage.log.listen(lambda _id, _seq, event: seen.append(event))
    await stage.ask()
    assert [event.type for event in seen] == [
        "Started",
        "RootReplied",
        "StepRan",
        "SubcallResolved",
        "StepRan",
        "Finished",
    ]
    assert seen == await stage.events()
    replied = seen[1]
    assert isinstance(replied, RootReplied)
    assert replied.usage is not None
    assert replied.cost_usd == 0.0
    assert len(replied.prompt_version) == 64


@pytest.mark.parametrize("error", [TypeError("an odd one"), RecursionError(), ValueError("\ud800")])
async def test_whatever_a_provider_raises_fails_the_call_and_not_the_execution(
    staged: MakeStage, error: Exception
) -> None:
    def broken(_request: ModelRequest) -> str:
        raise error

    stage = await staged([step("print(llm_query('What?'))"), step("FINAL('done')")], broken)
    run = await stage.ask()
    assert outcome(run).answer == "done"
    assert "LLM_PROVIDER_ERROR" in str(subcalls(await stage.events()))
