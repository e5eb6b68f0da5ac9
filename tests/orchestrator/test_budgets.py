"""Budgets hold: on turns, time, tokens, money, sub-calls and errors, for children as for their parent."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import pytest
from stage import Stage, by_turn, outcome, step, subcalls

from rlm_rs.core.errors import ProviderFailed
from rlm_rs.core.execution import Finished, RootReplied
from rlm_rs.core.model import ModelReply, ModelRequest, Usage
from rlm_rs.core.pricing import Price
from rlm_rs.core.records import ExecutionStatus
from rlm_rs.core.spans import Range

MakeStage = Callable[..., Awaitable[Stage]]

DOLLAR_PER_MILLION = {"scripted-root": Price(1, 1), "scripted-sub": Price(1, 1)}
TEXT = "Either party may terminate this Agreement on thirty days written notice.\n"


Said = str | ModelReply | Exception


def best(work: Callable[[ModelRequest], Said] | str, answer: str) -> Callable[[ModelRequest], Said]:
    """Works until it is asked for its best answer."""

    def reply(request: ModelRequest) -> Said:
        if "Give your best answer now" in request.messages[-1].content:
            return answer
        return work(request) if callable(work) else work

    return reply


def wordy(text: str, tokens: int) -> Callable[[ModelRequest], ModelReply]:
    """A root model that thinks for that many tokens, or for as many as it may."""

    def reply(request: ModelRequest) -> ModelReply:
        return ModelReply(text, "scripted-root", Usage(100, min(tokens, request.max_tokens or tokens)))

    return reply


async def test_turns_run_out_with_a_partial_best_answer(staged: MakeStage) -> None:
    stage = await staged(
        best(step("x = context[0][:30]"), "<think>hm</think>It seems: thirty days."), texts=[TEXT]
    )
    run = await stage.ask(max_turns=3)
    end = outcome(run)
    assert end.status == ExecutionStatus.MAX_TURNS_EXCEEDED
    assert (end.partial, end.answer) == (True, "It seems: thirty days.")
    assert end.error is not None
    assert end.error.code == "MAX_TURNS_EXCEEDED"
    assert len(stage.model.requests) == 4
    assert "max_turns is used up (limit 3)" in stage.model.requests[-1].messages[-1].content
    assert [c.ref.end_char for c in end.citations] == [30]


async def test_a_best_answer_may_be_code_that_runs_once(staged: MakeStage) -> None:
    stage = await staged(best(step("found = 'thirty days'"), step("FINAL(found)")))
    end = outcome(await stage.ask(max_turns=1))
    assert (end.status, end.answer, end.partial) == (ExecutionStatus.MAX_TURNS_EXCEEDED, "thirty days", True)


@pytest.mark.parametrize(
    "code", ["x = 1", "1 / 0", "while True: x = llm_query('more')", "tool.queue_llm('k', 'p')"]
)
async def test_a_best_answer_that_only_goes_on_working_ends_without_an_answer(
    staged: MakeStage, code: str
) -> None:
    stage = await staged(best(step("x = 0"), step(code)), "sub")
    end = outcome(await stage.ask(max_turns=1))
    assert (end.status, end.answer, end.partial) == (ExecutionStatus.MAX_TURNS_EXCEEDED, None, False)
    assert not [request for request in stage.model.requests if request.model == "scripted-sub"]


async def test_a_failing_best_answer_does_not_hide_which_budget_ran_out(staged: MakeStage) -> None:
    stage = await staged([step("x = 1"), ProviderFailed("the model is overloaded")])
    end = outcome(await stage.ask(max_turns=1))
    assert end.status == ExecutionStatus.MAX_TURNS_EXCEEDED
    assert end.error is not None
    assert "overloaded" in end.error.message
    assert "max_turns" in end.error.message


async def test_subcalls_beyond_the_budget_are_refused_with_an_error_result(staged: MakeStage) -> None:
    code = step("FINAL([r[:21] for r in llm_query_batched([f'p{i}' for i in range(5)])])")
    stage = await staged([code], "fine")
    run = await stage.ask(max_llm_subcalls=3)
    assert outcome(run).answer == '["fine", "fine", "fine", "ERROR: BUDGET_EXCEEDE", "ERROR: BUDGET_EXCEEDE"]'
    assert sum(request.model == "scripted-sub" for request in stage.model.requests) == 3
    assert run.spend.llm_subcalls == 3


async def test_a_call_that_does_not_fit_does_not_keep_a_smaller_one_out(staged: MakeStage) -> None:
    code = step("FINAL([r[:5] for r in llm_query_batched(['x' * 900, 'small', 'y' * 900, 'tiny'])])")
    stage = await staged([code], "fine")
    assert (
        outcome(await stage.ask(max_total_llm_prompt_chars=100)).answer
        == '["ERROR", "fine", "ERROR", "fine"]'
    )


async def test_tokens_run_out_before_a_call_and_not_after(staged: MakeStage) -> None:
    stage = await staged(best(wordy(step("x = 1"), 6_000), "best"))
    run = await stage.ask(max_total_tokens=40_000)
    end = outcome(run)
    assert (end.status, end.answer) == (ExecutionStatus.BUDGET_EXCEEDED, "best")
    assert 30_000 < run.spend.tokens <= 40_000
    assert all(request.max_tokens for request in stage.model.requests)


async def test_a_token_budget_too_small_for_a_question_asks_nothing(staged: MakeStage) -> None:
    stage = await staged([step("FINAL(1)")])
    end = outcome(await stage.ask(max_total_tokens=100))
    assert (end.status, end.answer) == (ExecutionStatus.BUDGET_EXCEEDED, None)
    assert stage.model.requests == []
    assert end.error is not None
    assert "max_total_tokens" in end.error.message


async def test_subcalls_reserve_their_tokens_before_they_start(staged: MakeStage) -> None:
    code = step("print(llm_query_batched([f'p{i}' for i in range(40)]))\nFINAL('x')")
    stage = await staged([code], lambda request: ModelReply("r", "scripted-sub", Usage(1, 2_000)))
    run = await stage.ask(max_total_tokens=30_000)
    assert run.spend.tokens <= 30_000 * 0.9
    asked = sum(request.model == "scripted-sub" for request in stage.model.requests)
    assert 5 <= asked <= 13


async def test_money_runs_out(staged: MakeStage) -> None:
    stage = await staged(
        best(wordy(step("x = 1"), 200_000), "the best there is"),
        prices=DOLLAR_PER_MILLION,
    )
    run = await stage.ask(max_cost_usd=1.0)
    end = outcome(run)
    assert (end.status, end.answer, end.partial) == (
        ExecutionStatus.BUDGET_EXCEEDED,
        "the best there is",
        True,
    )
    assert run.spend.turns == 6
    assert run.spend.cost_usd is not None
    assert 0.88 < run.spend.cost_usd <= 1.0


async def test_an_unknown_price_is_unknown_and_not_nothing(staged: MakeStage) -> None:
    stage = await staged([step("FINAL(1)")])
    stage.model.root_model = "nobody-knows"
    stage.model._lines = {"nobody-knows": iter([step("FINAL(1)")])}
    run = await stage.ask()
    assert outcome(run).status == ExecutionStatus.COMPLETED
    assert run.spend.cost_usd is None


async def test_time_runs_out_in_a_slow_root(staged: MakeStage) -> None:
    stage = await staged(best(step("x = 1"), "late but here"), latency=0.12)
    started = time.monotonic()
    end = outcome(await stage.ask(max_total_seconds=0.5))
    assert (end.status, end.partial, end.answer) == (ExecutionStatus.TIMEOUT, True, "late but here")
    assert time.monotonic() - started < 20


async def test_time_runs_out_in_slow_subcalls(staged: MakeStage) -> None:
    stage = await staged(best(step("r = llm_query_batched(['a', 'b'])"), "what I have"), "sub")
    plain = stage.model.complete

    async def slow(request: ModelRequest) -> ModelReply:
        stage.model.latency = 5.0 if request.model == "scripted-sub" else 0.0
        return await plain(request)

    stage.model.complete = slow  # type: ignore[method-assign]
    started = time.monotonic()
    run = await stage.ask(max_total_seconds=0.4)
    assert (outcome(run).status, outcome(run).answer) == (ExecutionStatus.TIMEOUT, "what I have")
    assert time.monotonic() - started < 4.9
    assert await stage.log.replay("local", "exec_1") == run


async def test_time_runs_out_in_a_root_that_never_answers(staged: MakeStage) -> None:
    stage = await staged(lambda request: "never", latency=30.0)
    started = time.monotonic()
    end = outcome(await stage.ask(max_total_seconds=0.2))
    assert (end.status, end.answer, end.partial) == (ExecutionStatus.TIMEOUT, None, False)
    assert time.monotonic() - started < 25


async def test_the_pause_between_two_workers_is_not_counted(staged: MakeStage) -> None:
    stage = await staged(by_turn(step("x = 1"), step("FINAL(x)")))
    await stage.ask(max_total_seconds=5)
    again = await stage.reopened(3, with_call_cache=False)
    time.sleep(2)  # noqa: ASYNC251
    run = await again.resume()
    assert run.spend.seconds < 2


async def test_a_step_that_ignores_refusals_is_cut_short(staged: MakeStage) -> None:
    stage = await staged(best(step("while True: llm_query_batched(['more'] * 50)"), "gave up"), "sub")
    run = await stage.ask(max_llm_subcalls=10)
    assert (outcome(run).status, outcome(run).answer) == (ExecutionStatus.BUDGET_EXCEEDED, "gave up")
    assert run.seq < 300


async def test_errors_in_a_row_end_an_execution(staged: MakeStage) -> None:
    stage = await staged(best(step("1 / 0"), "gave up"))
    run = await stage.ask(max_consecutive_errors=3)
    assert (outcome(run).status, outcome(run).answer) == (ExecutionStatus.BUDGET_EXCEEDED, "gave up")
    assert run.spend.turns == 4


async def test_errors_not_in_a_row_do_not(staged: MakeStage) -> None:
    turns = [step("1 / 0"), "prose", step("x = 1")] * 3
    stage = await staged([*turns, step("FINAL('done')")])
    assert outcome(await stage.ask(max_consecutive_errors=3)).answer == "done"


async def test_spans_run_out_as_an_error_the_model_reads(staged: MakeStage) -> None:
    code = step("for i in range(50): context[0][2 * i:2 * i + 1]")
    stage = await staged([code, step("FINAL('x')")], texts=[TEXT])
    run = await stage.ask(max_spans_per_step=10)
    assert run.turns[0].step is not None
    assert run.turns[0].step.error is not None
    assert len(run.spans) <= 10


FAN_OUT = step("FINAL(rlm_query_batched([f'child {i}' for i in range(4)]))")


def parent_and(child: Callable[[ModelRequest], Said]) -> Callable[[ModelRequest], Said]:
    def reply(request: ModelRequest) -> Said:
        return child(request) if request.messages[1].content.startswith("QUESTION\nchild") else FAN_OUT

    return reply


async def test_children_share_their_parents_subcalls(staged: MakeStage) -> None:
    def greedy(request: ModelRequest) -> str:
        return step(
            "r = llm_query_batched([f'{i}' for i in range(20)])\nFINAL(sum(x[:5] != 'ERROR' for x in r))"
        )

    stage = await staged(parent_and(greedy), "fine")
    run = await stage.ask(max_llm_subcalls=20)
    assert run.spend.llm_subcalls <= 20
    assert outcome(run).answer == '["4", "4", "4", "4"]'
    assert run.spend.rlm_subcalls == 4
    assert run.spend.child_turns == 4


async def test_children_share_their_parents_tokens(staged: MakeStage) -> None:
    stage = await staged(parent_and(best(wordy(step("x = 1"), 10_000), "child's best")))
    run = await stage.ask(max_total_tokens=400_000)
    assert 200_000 < run.spend.tokens <= 400_000
    answers = [event.result for event in subcalls(await stage.events())]
    assert [answer.meta["partial"] for answer in answers] == [True] * 4
    assert all(answer.text == "child's best" for answer in answers)


async def test_children_too_many_for_the_tokens_left_ask_nothing(staged: MakeStage) -> None:
    code = step(
        "r = rlm_query_batched([f'child {i}' for i in range(40)])\nFINAL(sum(x[:5] == 'ERROR' for x in r))"
    )

    def root(request: ModelRequest) -> str:
        return "never" if request.messages[1].content.startswith("QUESTION\nchild") else code

    stage = await staged(root)
    run = await stage.ask(max_total_tokens=20_000)
    assert outcome(run).answer == "40"
    assert len(stage.model.requests) == 1


async def test_children_share_their_parents_money(staged: MakeStage) -> None:
    stage = await staged(parent_and(best(wordy(step("x = 1"), 50_000), "best")), prices=DOLLAR_PER_MILLION)
    run = await stage.ask(max_cost_usd=1.0)
    assert run.spend.cost_usd is not None
    assert 0.7 < run.spend.cost_usd <= 1.0


async def test_a_childs_spend_is_its_parents(staged: MakeStage) -> None:
    def child(request: ModelRequest) -> str:
        return step("FINAL(llm_query('judge') + context[0][:10])")

    stage = await staged(parent_and(child), "yes ", texts=[TEXT])
    run = await stage.ask()
    children = [await stage.log.replay("local", f"exec_1-0.{i}") for i in range(4)]
    assert all(c is not None and c.finished is not None for c in children)
    own = [event for event in await stage.events() if isinstance(event, RootReplied)]
    tokens = sum(e.usage.input_tokens + e.usage.output_tokens for e in own if e.usage)
    assert run.spend.tokens == tokens + sum(c.spend.tokens for c in children if c)
    assert run.spend.llm_subcalls == 4 + 4
    assert await stage.catalog.list_executions("local") == (
        [await stage.catalog.get_execution("local", "exec_1")],
        None,
    )


async def test_past_the_depth_a_child_is_one_call_over_the_text(staged: MakeStage) -> None:
    stage = await staged(
        [step("FINAL(rlm_query('What notice?', context[0]))")], "thirty days", texts=[TEXT, "other"]
    )
    run = await stage.ask(max_depth=0)
    assert outcome(run).answer == "thirty days"
    asked = stage.model.requests[-1]
    assert asked.model == "scripted-sub"
    assert asked.messages[0].content == f"What notice?\n\n{TEXT}"
    assert run.spend.prompt_chars == len(asked.messages[0].content)
    assert [
        (c.support, Range(c.ref.doc_index, c.ref.start_char, c.ref.end_char)) for c in outcome(run).citations
    ] == [("evidence", Range(0, 0, len(TEXT)))]


async def test_a_text_too_long_for_one_call_is_cut_and_said_to_be(staged: MakeStage) -> None:
    long = "word " * 1_000
    stage = await staged([step("FINAL(rlm_query('Q?'))")], "a", texts=[long, long])
    run = await stage.ask(max_depth=0, max_llm_prompt_chars=2_000)
    prompt = stage.model.requests[-1].messages[0].content
    assert len(prompt) <= 2_000
    assert "10,000 characters" in prompt
    (citation,) = outcome(run).citations
    assert citation.ref.end_char < 2_000


async def test_a_childs_child_is_within_the_depth(staged: MakeStage) -> None:
    def root(request: ModelRequest) -> str:
        question = request.messages[1].content.split("\n")[1]
        return (
            step(f"FINAL('{question} > ' + rlm_query('{question}x'))")
            if len(question) < 4
            else step("FINAL('end')")
        )

    stage = await staged(root, "flat")
    end = outcome(await stage.ask("q", max_depth=2))
    assert end.answer == "q > qx > flat" or end.answer == "q > qx > qxx > flat"
    ids = {execution_id for execution_id, _, _ in stage.journal.appended}
    assert ids == {"exec_1", "exec_1-0.0", "exec_1-0.0-0.0"}


async def test_a_failing_child_is_an_error_result(staged: MakeStage) -> None:
    def root(request: ModelRequest) -> Said:
        if request.messages[1].content.startswith("QUESTION\nchild"):
            return ProviderFailed("no more credit")
        return step("FINAL(rlm_query('child'))")

    stage = await staged(root)
    run = await stage.ask()
    assert outcome(run).answer == "ERROR: LLM_PROVIDER_ERROR: no more credit"
    child = await stage.log.replay("local", "exec_1-0.0")
    assert child is not None
    assert isinstance(child.finished, Finished)
    assert child.finished.status == ExecutionStatus.FAILED


async def test_a_child_over_a_text_runs_over_nothing_else(staged: MakeStage) -> None:
    def root(request: ModelRequest) -> str:
        if request.messages[1].content.startswith("QUESTION\nchild"):
            assert "contract-0" not in request.messages[1].content
            return step("FINAL(f'{len(context)}: {context[0][:]}')")
        return step("FINAL(rlm_query('child', 'a text of its own'))")

    stage = await staged(root, texts=[TEXT])
    assert outcome(await stage.ask()).answer == "1: a text of its own"
