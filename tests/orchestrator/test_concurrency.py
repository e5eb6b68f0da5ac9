"""Sub-calls overlap, are bounded, and identical ones are made once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from stage import Stage, outcome, step, subcalls

from rlm_rs.core.model import ModelReply, ModelRequest, Usage
from rlm_rs.core.pricing import Price

MakeStage = Callable[..., Awaitable[Stage]]


def batch(count: int, prompt: str = "f'p{i}'") -> str:
    return step(f"r = llm_query_batched([{prompt} for i in range({count})])\nFINAL(len(r))")


def watched(stage: Stage, seconds: float) -> list[int]:
    """Makes sub-calls take that long; returns a list that collects how many were in flight at each start."""
    plain, flying, seen = stage.model.complete, 0, list[int]()

    async def complete(request: ModelRequest) -> ModelReply:
        nonlocal flying
        if request.model != stage.model.sub_model:
            return await plain(request)
        flying += 1
        seen.append(flying)
        await asyncio.sleep(seconds)
        flying -= 1
        return await plain(request)

    stage.model.complete = complete  # type: ignore[method-assign]
    return seen


async def test_sixteen_calls_are_made_at_once(staged: MakeStage) -> None:
    stage = await staged([batch(1, "'warm'"), batch(16)], "fine")
    await stage.ask("warm up", "exec_0")
    seen = watched(stage, 0.05)
    await stage.ask()
    assert max(seen) == 16


async def test_calls_in_flight_are_bounded(staged: MakeStage) -> None:
    stage = await staged([batch(12)], "fine", concurrency=3)
    seen = watched(stage, 0.01)
    await stage.ask()
    assert max(seen) == 3
    assert len(seen) == 12


async def test_calls_of_all_executions_share_one_bound(staged: MakeStage) -> None:
    stage = await staged(lambda request: batch(6), "fine", slots=asyncio.Semaphore(4))
    seen = watched(stage, 0.01)
    await asyncio.gather(*(stage.ask(execution_id=f"exec_{i}", question=f"q{i}") for i in range(3)))
    assert max(seen) == 4


async def test_identical_calls_in_flight_are_made_once(staged: MakeStage) -> None:
    stage = await staged([batch(10, "'same'")], "fine")
    seen = watched(stage, 0.02)
    run = await stage.ask()
    assert len(seen) == 1
    hits = [event.cache_hit for event in subcalls(await stage.events())]
    assert sorted(hits) == [False] + [True] * 9
    assert run.spend.llm_subcalls == 10


async def test_a_cache_hit_says_so_and_costs_nothing(staged: MakeStage) -> None:
    code = step("a = llm_query('same')\nb = llm_query('same')\nFINAL(a == b)")
    prices = {"scripted-root": Price(1, 1), "scripted-sub": Price(1, 1)}
    stage = await staged(
        [code, code], lambda request: ModelReply("fine", "scripted-sub", Usage(1_000_000)), prices=prices
    )
    await stage.ask()
    second = await stage.ask("another question", "exec_2")
    assert sum(request.model == "scripted-sub" for request in stage.model.requests) == 1
    first, hit = subcalls(await stage.events())
    assert (first.result.meta["cache_hit"], first.spend.cost_usd, first.spend.tokens) == (
        False,
        1.0,
        1_000_000,
    )
    assert (hit.result.meta["cache_hit"], hit.spend.cost_usd, hit.spend.tokens) == (True, 0.0, 0)
    assert second.spend.cost_usd is not None
    assert second.spend.cost_usd < 0.01


async def test_a_call_with_temperature_is_made_each_time(staged: MakeStage) -> None:
    code = step("a = [llm_query('same', temperature=0.7) for _ in range(3)]\nFINAL(a)")
    stage = await staged([code], lambda request: "fine")
    await stage.ask()
    assert sum(request.model == "scripted-sub" for request in stage.model.requests) == 3


async def test_another_tenant_has_a_cache_of_its_own(staged: MakeStage) -> None:
    code = step("FINAL(llm_query('same'))")
    stage = await staged([code, code], lambda request: "fine")
    await stage.ask()
    await stage.ask(execution_id="exec_2", tenant_id="stranger")
    assert sum(request.model == "scripted-sub" for request in stage.model.requests) == 2


async def test_a_damaged_cache_record_is_asked_again(staged: MakeStage) -> None:
    code = step("FINAL(llm_query('same'))")
    stage = await staged([code, code], lambda request: "fine")
    await stage.ask()
    for uri in await stage.blobs.list("s3://bucket/cache/"):
        await stage.blobs.delete_prefix("s3://bucket/cache/")
        await stage.blobs.put(uri, b'{"response": {}')
    assert outcome(await stage.ask("again", "exec_2")).answer == "fine"
    assert sum(request.model == "scripted-sub" for request in stage.model.requests) == 2


async def test_one_waiter_less_does_not_cancel_the_call_of_the_others(staged: MakeStage) -> None:
    code = step("FINAL(llm_query('same'))")
    stage = await staged(lambda request: code, "fine")
    seen = watched(stage, 0.2)
    first = asyncio.ensure_future(stage.ask())
    second = asyncio.ensure_future(stage.ask("another", "exec_2"))
    await asyncio.sleep(0.1)
    assert seen == [1]
    first.cancel()
    assert outcome(await second).answer == "fine"
    assert len(seen) == 1


async def test_children_run_side_by_side(staged: MakeStage) -> None:
    def root(request: ModelRequest) -> str:
        is_child = request.messages[1].content.startswith("QUESTION\nchild")
        return step("FINAL(llm_query('x' + str(hash))[:0] + 'done')") if is_child else fan_out

    fan_out = step("FINAL(rlm_query_batched([f'child {i}' for i in range(8)]))")
    stage = await staged(root, "fine", latency=0.03)
    run = await stage.ask()
    assert outcome(run).answer == str(["done"] * 8).replace("'", '"')
    # every child has asked its root model before the first has asked a sub-model
    assert [request.model for request in stage.model.requests[:9]] == ["scripted-root"] * 9
