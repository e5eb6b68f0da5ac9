"""A worker may die after any event: the next one goes on, and nothing that was recorded is paid again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from stage import BUCKET, SESSION, TENANT, Stage, by_turn, calls, outcome, step

from rlm_rs.core.errors import Fenced
from rlm_rs.core.execution import Event, Finished, RootReplied, SubcallResolved
from rlm_rs.core.model import ModelRequest
from rlm_rs.core.spans import Range, read_ranges
from rlm_rs.orchestrator.event_log import replayed

MakeStage = Callable[..., Awaitable[Stage]]

TEXTS = [f"Contract {i}. Either party may terminate on {30 + i} days written notice.\n" * 3 for i in range(3)]

QUEUED = [
    step(
        "a = context[0][:40]\ntool.queue_llm('a', 'judge ' + a)\ntool.queue_llm('b', 'judge b')\ntool.YIELD()"
    ),
    step(
        "r = state['_tool_results']['llm']\n"
        "state['got'] = ''.join(item['text'] for item in r.values())\nprint(state['got'])"
    ),
    step("FINAL(state['got'] + context[1][:10])"),
]
BATCHED = [
    step("first = llm_query('one')\nmany = llm_query_batched([first + str(i) for i in range(4)])"),
    step("FINAL(' '.join(many) + context[2][5:20])"),
]
RECURSIVE = [
    step("answers = rlm_query_batched(['child 0', 'child 1', 'child 2'], [[0], [1], [2]])\nprint(answers)"),
    step("FINAL(' | '.join(answers))"),
]
MIXED = [
    step("x = context[0][:20]\nprint(x)"),
    "Just prose, no code.",
    step("y = llm_query('y', context=context[1])\nstate['y'] = y\nz = rlm_query('child z')"),
    step("1 / 0"),
    step("FINAL([state['y'], z, x])"),
]
SCRIPTS = {"queued": QUEUED, "batched": BATCHED, "recursive": RECURSIVE, "mixed": MIXED}


def child_or(root: list[str]) -> Callable[[ModelRequest], str]:
    """The script for the root; a child looks at its document, asks once and answers."""
    asked = by_turn(*root)
    child = by_turn(
        step("seen = context[0][:30]\njudged = llm_query(f'judge {seen}')"), step("FINAL(f'{judged}!')")
    )

    def reply(request: ModelRequest) -> str:
        is_child = request.messages[1].content.startswith("QUESTION\nchild")
        return str((child if is_child else asked)(request))

    return reply


def judged(request: ModelRequest) -> str:
    return f"judged<{request.messages[0].content[-12:]}>"


def paid_calls(events: list[Event]) -> int:
    """How many model calls some events record."""
    replies = sum(isinstance(event, RootReplied) for event in events)
    answered = [
        event for event in events if isinstance(event, SubcallResolved) and event.request.kind == "llm"
    ]
    return replies + sum(not event.cache_hit for event in answered)


async def recorded(stage: Stage) -> list[Event]:
    """All events of all executions."""
    ids = {execution_id for execution_id, _, _ in stage.journal.appended}
    return [event for execution_id in ids for event in await stage.events(execution_id)]


async def whole(staged: MakeStage, name: str) -> tuple[Stage, Finished]:
    stage = await staged(child_or(SCRIPTS[name]), judged, TEXTS)
    return stage, outcome(await stage.ask("the question"))


def essence(end: Finished) -> object:
    return end.status, end.answer, end.value, end.citations, end.error, end.partial


@pytest.mark.parametrize("name", SCRIPTS)
async def test_cut_after_any_event_the_answer_is_the_same_and_no_recorded_call_is_paid_again(
    staged: MakeStage, name: str
) -> None:
    stage, end = await whole(staged, name)
    all_calls = calls(stage.model.requests)
    for cut in range(1, len(stage.journal.appended) + 1):
        again = await stage.reopened(cut, with_call_cache=False)
        recorded_calls = paid_calls(await recorded(again))
        resumed = outcome(await again.resume())
        assert essence(resumed) == essence(end), f"after {cut} events"
        repeated = calls(again.model.requests)
        assert repeated.total() == all_calls.total() - recorded_calls, f"after {cut} events"
        assert repeated <= all_calls, f"after {cut} events"


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_reply_lost_between_provider_and_journal_is_found_in_the_call_cache(
    staged: MakeStage, name: str
) -> None:
    stage, end = await whole(staged, name)
    checked = 0
    for cut, (execution_id, seq, _) in enumerate(list(stage.journal.appended)):
        lost = (await stage.events(execution_id))[seq]
        call = call_of(lost, (await replayed(stage.log, TENANT, execution_id)).execution.question)
        if call is not None:
            again = await stage.reopened(cut, with_call_cache=True)
            assert essence(outcome(await again.resume())) == essence(end)
            assert [asked for asked in calls(again.model.requests) if call(asked)] == []
            checked += 1
    assert checked >= 4


def call_of(event: Event, question: str) -> Callable[[tuple[str, str, int]], bool] | None:
    """Recognises the model call an event records, if it does, among the calls of a stage."""
    if isinstance(event, RootReplied):
        return lambda call: (f"QUESTION\n{question}\n" in call[1]) and call[2] == event.turn
    if isinstance(event, SubcallResolved) and event.request.kind == "llm":
        return lambda call: call[1] == event.request.prompt
    return None


@pytest.mark.parametrize("name", SCRIPTS)
async def test_spend_and_spans_are_the_same_however_often_the_worker_died(
    staged: MakeStage, name: str
) -> None:
    stage, _ = await whole(staged, name)
    whole_run = await replayed(stage.log, TENANT, "exec_1")
    for cut in range(1, len(stage.journal.appended), 3):
        again = await stage.reopened(cut, with_call_cache=False)
        run = await again.resume()
        assert run.spans == whole_run.spans
        counted = [
            (r.spend.turns, r.spend.child_turns, r.spend.llm_subcalls, r.spend.tokens)
            for r in (run, whole_run)
        ]
        assert counted[0] == counted[1]


async def test_a_cancelled_worker_leaves_a_journal_that_goes_on(staged: MakeStage) -> None:
    stage = await staged(child_or(MIXED), judged, TEXTS, latency=0.02)
    _, end = await whole(staged, "mixed")
    for _ in range(40):
        task = asyncio.ensure_future(stage.ask("the question"))
        await asyncio.wait({task}, timeout=0.03)
        if task.done():
            break
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    finished = outcome(await stage.ask("the question"))
    assert (finished.answer, finished.status) == (end.answer, end.status)
    assert len(stage.model.requests) <= 3 * 11


async def test_of_two_workers_one_is_fenced_and_there_is_one_outcome(staged: MakeStage) -> None:
    stage = await staged(by_turn(*BATCHED), judged, TEXTS, latency=0.01)
    run = await stage.start("the question")
    other = Stage(stage.corpus, stage.model, stage.blobs, stage.directory, stage.journal)
    outcomes = await asyncio.gather(stage.drive(run), other.drive(run), return_exceptions=True)
    assert sorted(type(result).__name__ for result in outcomes) == ["Fenced", "Run"]
    events = await stage.events()
    assert sum(isinstance(event, Finished) for event in events) == 1
    assert isinstance(events[-1], Finished)


async def test_a_worker_that_was_overtaken_does_not_end_the_execution_as_failed(staged: MakeStage) -> None:
    stage = await staged([step("x = 1"), step("FINAL(x)")])
    run = await stage.start("the question")
    stale = Stage(stage.corpus, stage.model, stage.blobs, stage.directory, stage.journal)
    await stage.drive(run)
    with pytest.raises(Fenced):
        # its script has run out, so that its provider fails, but the execution is not its own any more
        await stale.drive(run)
    events = await stage.events()
    assert [event.type for event in events].count("Finished") == 1
    assert isinstance(events[-1], Finished)
    assert events[-1].answer == "1"


async def test_identical_calls_of_two_workers_in_one_process_are_paid_once(staged: MakeStage) -> None:
    stage = await staged(by_turn(*BATCHED), judged, TEXTS, latency=0.02)
    run = await stage.start("the question")
    results = await asyncio.gather(stage.drive(run), stage.drive(run), return_exceptions=True)
    assert sum(isinstance(result, Fenced) for result in results) == 1
    assert max(calls(stage.model.requests).values()) == 1


async def test_earlier_spans_are_still_citable_after_a_resume(staged: MakeStage) -> None:
    stage, _ = await whole(staged, "mixed")
    again = await stage.reopened(3, with_call_cache=False)
    run = await again.resume()
    assert Range(0, 0, 20) in read_ranges(run.spans)
    assert any(c.ref.doc_index == 0 and c.ref.start_char == 0 for c in outcome(run).citations)


async def test_calls_recorded_in_another_order_make_the_same_answer(staged: MakeStage) -> None:
    async def ask(delays: list[float]) -> Finished:
        stage = await staged(by_turn(*BATCHED), judged, TEXTS)
        plain = stage.model.complete

        async def late(request: ModelRequest) -> object:
            last = request.messages[-1].content[-1:]
            await asyncio.sleep(delays[int(last)] if last.isdigit() else 0)
            return await plain(request)

        stage.model.complete = late  # type: ignore[method-assign, assignment]
        return outcome(await stage.ask("the question"))

    assert (await ask([0, 0.01, 0.02, 0.03])).answer == (await ask([0.03, 0.02, 0.01, 0])).answer


def test_the_stage_counts_calls_by_what_is_asked() -> None:
    assert calls([]) == Counter()
    assert (BUCKET, TENANT, SESSION) == ("bucket", "local", "sess_1")
