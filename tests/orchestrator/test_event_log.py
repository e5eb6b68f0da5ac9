"""Events survive the journal whatever they hold; large parts move out and are checked when they come back."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from journal_events import EXECUTION, HISTORIES

from rlm_rs.core.citing import Citation
from rlm_rs.core.errors import ChecksumMismatch, ExecutionNotFound, Fenced
from rlm_rs.core.execution import Event, Finished, RootReplied, Run, StepRan, SubcallResolved
from rlm_rs.core.records import ExecutionStatus
from rlm_rs.core.spans import SpanRef
from rlm_rs.orchestrator.event_log import EventLog, replayed
from rlm_rs.sandbox.protocol import Final, SpanEntry, StepResult, SubcallRequest, SubcallResult
from rlm_rs.storage.blobs import MemoryBlobs
from rlm_rs.storage.memory import MemoryJournal

MAX_RECORD_BYTES = 100_000
BIG = "ü 𝄞 text of a document. " * 100_000
MANY_CITATIONS = tuple(
    Citation(SpanRef("t", "s", f"d{i}", i, 0, 9, "sha256:" + "0" * 64), "n", "read") for i in range(3000)
)

HUGE: dict[str, Event] = {
    "reply": RootReplied(turn=0, text=BIG, code=BIG, reasoning=BIG, final=Final(BIG, [BIG]), problem=BIG),
    "step": StepRan(
        turn=0,
        result=StepResult(
            "finished",
            stdout=BIG,
            state={"$": BIG, "payloads": [BIG]},
            variables={"v": {"json": BIG}},
            not_kept=(BIG,) * 2,
            spans=tuple(SpanEntry(0, i, i + 1) for i in range(20_000)),
            requests=tuple(SubcallRequest(str(i), "llm", BIG[:200_000]) for i in range(20)),
            final=Final(BIG, BIG),
        ),
    ),
    "sub-call": SubcallResolved(
        turn=0,
        request=SubcallRequest("k", "rlm", BIG, text=(BIG,), schema={"$ref": BIG}, metadata={"m": BIG}),
        result=SubcallResult("k", "d", "resolved", BIG, ({"preview": BIG},), {"error": {"message": BIG}}),
        citations=tuple(SpanEntry(0, i, i + 1) for i in range(20_000)),
    ),
    "outcome": Finished(status=ExecutionStatus.COMPLETED, answer=BIG, value=[BIG], citations=MANY_CITATIONS),
    "many small parts": StepRan(
        turn=0,
        result=StepResult("finished", stdout="x" * 1_900, yielded="y" * 1_900, state={"k": "z" * 1_900}),
    ),
}


def new_log() -> tuple[EventLog, MemoryJournal, MemoryBlobs]:
    journal, blobs = MemoryJournal(), MemoryBlobs()
    return EventLog(journal, blobs, "bucket"), journal, blobs


async def round_trip(events: list[Event]) -> tuple[list[Event], list[Event], list[bytes]]:
    """What was appended (with its stamps), what is read back, and the records."""
    log, journal, _ = new_log()
    seen: list[Event] = []
    log.listen(lambda _id, _seq, event: seen.append(event))
    run = await log.start(EXECUTION)
    for event in events:
        # appended as they are: a history of arbitrary events need not make sense
        run = replace(await log.append(run, event), seq=run.seq + 1)
    read = [event for _, event in await log.events("local", "exec_1")]
    return seen, read, list(await journal.read("exec_1"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(HISTORIES)
def test_every_event_comes_back_as_it_was_appended(events: list[Event]) -> None:
    appended, read, _ = asyncio.run(round_trip(events))
    assert read == appended


@pytest.mark.parametrize("name", HUGE)
async def test_a_huge_event_is_a_small_record_and_comes_back_whole(name: str) -> None:
    reply = RootReplied(turn=0, text="", code="x")
    appended, read, records = await round_trip([reply, HUGE[name]])
    assert read == appended
    assert max(map(len, records)) < MAX_RECORD_BYTES


async def test_a_huge_question_and_huge_texts_are_a_small_record() -> None:
    log, journal, _ = new_log()
    await log.start(replace(EXECUTION, question=BIG, texts=(BIG, BIG)))
    assert len((await journal.read("exec_1"))[0]) < MAX_RECORD_BYTES
    run = await replayed(log, "local", "exec_1")
    assert run.execution.texts == (BIG, BIG)
    assert run.execution.question == BIG


async def test_lone_surrogates_become_storable() -> None:
    odd = "a\ud800"
    step = StepResult("finished", stdout=odd, state={"s": [odd]}, final=Final(odd, odd))
    _, read, _ = await round_trip([RootReplied(turn=0, text=odd, code=odd), StepRan(turn=0, result=step)])
    assert isinstance(read[1], RootReplied)
    assert read[1].text == "a\ufffd"
    assert isinstance(read[2], StepRan)
    assert read[2].result.state == {"s": ["a\ufffd"]}


async def test_a_question_that_is_not_unicode_is_the_same_before_and_after_a_crash() -> None:
    log, _, _ = new_log()
    run = await log.start(replace(EXECUTION, question="what is \udcff?"))
    assert run == await log.replay("local", "exec_1")


async def test_state_as_deep_as_a_step_may_make_it_comes_back() -> None:
    deep: Any = "bottom"
    for _ in range(110):
        deep = [deep]
    step = StepRan(turn=0, result=StepResult("finished", state={"deep": deep}))
    _, read, _ = await round_trip([RootReplied(turn=0, text="", code="x"), step])
    assert isinstance(read[2], StepRan)
    assert read[2].result.state == {"deep": deep}


async def test_keys_that_look_like_references_are_only_keys() -> None:
    forged = {
        "payloads": [{"at": ["result"], "uri": "s3://bucket/secret", "checksum": "x"}],
        "event": {"type": "Finished"},
    }
    step = StepRan(turn=0, result=StepResult("finished", state={**forged, "pad": BIG}))
    appended, read, _ = await round_trip([RootReplied(turn=0, text="", code="x"), step])
    assert read == appended


async def test_a_payload_that_was_changed_is_noticed() -> None:
    log, journal, blobs = new_log()
    run = await log.start(EXECUTION)
    await log.append(run, RootReplied(turn=0, text=BIG, code="x"))
    (payload,) = orjson.loads((await journal.read("exec_1"))[1])["payloads"]
    content = gzip.decompress(await blobs.get(payload["uri"]))
    await blobs.delete_prefix("s3://bucket/state/")
    await blobs.put(payload["uri"], gzip.compress(content.replace(b"document", b"d0cument", 1)))
    with pytest.raises(ChecksumMismatch, match=payload["uri"]):
        await log.replay("local", "exec_1")


async def test_payloads_stand_in_their_tenant_and_execution() -> None:
    log, _, blobs = new_log()
    run = await log.start(EXECUTION)
    await log.append(run, RootReplied(turn=3, text=BIG, code="x"))
    (uri,) = await blobs.list("s3://bucket/state/")
    assert uri.startswith("s3://bucket/state/local/exec_1/text_3_")


async def test_the_journal_says_what_the_run_says() -> None:
    log, _, _ = new_log()
    run = await log.start(EXECUTION)
    run = await log.append(run, RootReplied(turn=0, text="t", code="x = 1"))
    run = await log.append(run, StepRan(turn=0, result=StepResult("finished", state={"a": [1]}, stdout=BIG)))
    assert await log.replay("local", "exec_1") == run


async def test_starting_again_reads_what_there_is() -> None:
    log, _, _ = new_log()
    run = await log.start(EXECUTION)
    run = await log.append(run, RootReplied(turn=0, text="t", code="x = 1"))
    assert await log.start(replace(EXECUTION, question="another")) == run


async def test_another_tenant_sees_nothing() -> None:
    log, _, _ = new_log()
    await log.start(EXECUTION)
    assert await log.replay("stranger", "exec_1") is None
    assert await log.events("stranger", "exec_1") == []
    with pytest.raises(ExecutionNotFound):
        await replayed(log, "stranger", "exec_1")


async def test_an_append_to_a_stale_run_is_fenced_and_nobody_hears_of_it() -> None:
    log, _, _ = new_log()
    heard: list[int] = []
    run = await log.start(EXECUTION)
    log.listen(lambda _id, seq, _event: heard.append(seq))
    await log.append(run, RootReplied(turn=0, text="first"))
    with pytest.raises(Fenced):
        await log.append(run, RootReplied(turn=0, text="second"))
    assert heard == [1]


async def test_a_listener_can_stop_listening() -> None:
    log, _, _ = new_log()
    heard: list[int] = []
    stop = log.listen(lambda _id, seq, _event: heard.append(seq))
    run = await log.start(EXECUTION)
    stop()
    await log.append(run, RootReplied(turn=0, text=""))
    assert heard == [0]


async def test_events_can_be_read_from_a_number_on() -> None:
    log, _, _ = new_log()
    run = await log.start(EXECUTION)
    for turn in range(4):
        run = await log.append(run, RootReplied(turn=turn, text=""))
    assert [seq for seq, _ in await log.events("local", "exec_1", 3)] == [3, 4]
    assert await log.events("local", "exec_1", 9) == []


async def test_time_at_work_goes_on_after_a_pause_and_no_reader_winds_it_back() -> None:
    log, _, _ = new_log()
    run = replace(await log.start(EXECUTION))
    run = replace(run, spend=replace(run.spend, seconds=100.0))
    assert 100.0 <= log.elapsed(run) < 101.0
    await asyncio.sleep(0.05)
    await log.replay("local", "exec_1")
    assert log.elapsed(run) >= 100.05
    log.forget("exec_1")
    assert log.elapsed(run) < 100.04


async def test_two_runs_are_written_at_once_without_mixing() -> None:
    log, _, _ = new_log()

    async def drive(name: str) -> Run:
        run = await log.start(replace(EXECUTION, execution_id=name))
        for turn in range(5):
            run = await log.append(run, RootReplied(turn=turn, text=f"{name}/{turn}"))
        return run

    runs = await asyncio.gather(*(drive(f"exec_{i}") for i in range(8)))
    assert [await log.replay("local", f"exec_{i}") for i in range(8)] == runs
