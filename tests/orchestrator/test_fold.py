"""A run is the fold of its events, wherever the fold is cut."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_events import EXECUTION, HISTORIES

from rlm_rs.core.execution import CancelRequested, Event, Finished, RootReplied, Run, Started, StepRan, fold
from rlm_rs.core.records import ExecutionStatus
from rlm_rs.sandbox.protocol import RESERVED_STATE_KEYS, StepError, StepResult, SubcallRequest

STARTED = Started(execution=EXECUTION)
REPLY = RootReplied(turn=0, text="", code="x = 1")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(HISTORIES, st.data())
def test_applying_a_prefix_and_then_the_rest_is_applying_all(
    events: list[Event], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(events)))
    prefix = fold([STARTED, *events[:cut]])
    assert prefix is not None
    assert reduce(Run.apply, events[cut:], prefix) == fold([STARTED, *events])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(HISTORIES)
def test_every_event_takes_one_number_and_moves_the_clock(events: list[Event]) -> None:
    run = fold([STARTED, *events])
    assert run is not None
    assert run.seq == len(events) + 1
    assert run.spend.seconds == events[-1].elapsed


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(HISTORIES)
def test_reserved_keys_never_become_part_of_the_state(events: list[Event]) -> None:
    forged = StepRan(
        turn=0, result=StepResult("finished", state=dict.fromkeys(RESERVED_STATE_KEYS, "forged"))
    )
    run = fold([STARTED, *events, forged])
    assert run is not None
    assert run.state == {}


def test_nothing_folds_to_nothing() -> None:
    assert fold([]) is None


def test_a_journal_starts_once() -> None:
    with pytest.raises(ValueError, match="starts with Started"):
        fold([REPLY])
    with pytest.raises(ValueError, match="starts once"):
        fold([STARTED, STARTED])


def test_a_failed_step_keeps_its_output_and_asks_nothing() -> None:
    queued = SubcallRequest("k", "llm", "p")
    step = StepResult(
        "finished", stdout="seen", error=StepError("E", "m"), requests=(queued,), state={"a": 1}
    )
    run = fold([STARTED, REPLY, StepRan(turn=0, result=step)])
    assert run is not None
    assert (run.pending, run.tool_status, run.consecutive_errors, run.code) == ((), {}, 1, None)
    assert run.turns[0].step is not None
    assert run.turns[0].step.stdout == "seen"


@pytest.mark.parametrize(
    ("event", "concluded"),
    [
        (REPLY, False),
        (Finished(status=ExecutionStatus.FAILED), True),
        (CancelRequested(), True),
        (RootReplied(turn=0, text="", exhausted="TIMEOUT"), True),
        (RootReplied(turn=0, text="", code="x", exhausted="TIMEOUT"), False),
    ],
)
def test_a_run_is_concluded_when_only_its_outcome_is_left(event: Event, concluded: bool) -> None:
    run = fold([STARTED, event])
    assert run is not None
    assert run.concluded is concluded
