"""Follow-up questions, and answers held to a schema: both in the journal, so that a replay gives the same."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from serving import MINE, THEIRS, Serving, serving
from stage import step

from rlm_rs.core.errors import ExecutionNotFound, ValidationFailed
from rlm_rs.core.execution import Run
from rlm_rs.core.records import ExecutionStatus
from rlm_rs.orchestrator.event_log import replayed
from rlm_rs.orchestrator.executions import Choices, NewExecution, go_on, submit
from rlm_rs.orchestrator.output_schema import JsonSchemas
from rlm_rs.sandbox.protocol import Final
from rlm_rs.testing.models import ScriptedModel

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


async def answered(served: Serving, session_id: str, question: str = "Who?", **options: Any) -> Run:
    run = await submit(MINE, session_id, NewExecution(question, **options), served.service)
    run, _ = await go_on(MINE, run.execution.execution_id, served.service.ports)
    assert run == await replayed(served.service.ports.log, MINE, run.execution.execution_id)
    return run


def status(run: Run) -> ExecutionStatus:
    assert run.finished is not None
    return run.finished.status


async def test_an_answer_that_breaks_the_schema_goes_back_to_the_model(tmp_path: Path) -> None:
    model = ScriptedModel(
        [
            step("kept = 1\nFINAL({'name': 'ann'})"),
            "FINAL(Ann is 7)",
            step("FINAL({'name': 'Ann', 'age': 7 * kept})"),
        ]
    )
    served = serving(tmp_path, model)
    view = await served.session("Ann is 7.")
    run = await answered(served, view.session.session_id, output_schema=PERSON)
    assert run.finished is not None
    assert status(run) == ExecutionStatus.COMPLETED
    assert run.finished.value == {"name": "Ann", "age": 7}
    assert len(run.turns) == 3
    told = [request.messages[-1].content for request in model.requests]
    assert "ANSWER SCHEMA" in told[0]
    assert '"pattern": "^[A-Z]"' in told[0]
    assert "OUTPUT_SCHEMA_VIOLATION" in told[1]
    assert "'age' is a required property" in told[1]
    assert "does not satisfy the output schema" in told[2]


async def test_json_text_that_satisfies_the_schema_becomes_the_value(tmp_path: Path) -> None:
    served = serving(tmp_path, ScriptedModel([step("""FINAL('{"name": "Ann", "age": 7}')""")]))
    view = await served.session("Ann is 7.")
    run = await answered(served, view.session.session_id, output_schema=PERSON)
    assert run.finished is not None
    assert run.finished.value == {"name": "Ann", "age": 7}


async def test_a_best_answer_is_held_to_the_schema_too(tmp_path: Path) -> None:
    served = serving(tmp_path, ScriptedModel([step("x = 1"), "Ann, I think."]))
    view = await served.session("Ann is 7.")
    choices = Choices(budgets={"max_turns": 1})
    run = await answered(served, view.session.session_id, output_schema=PERSON, choices=choices)
    assert run.finished is not None
    assert status(run) == ExecutionStatus.MAX_TURNS_EXCEEDED
    assert run.finished.answer is None
    assert run.finished.error is not None
    assert "output schema" in run.finished.error.message


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no such type"},
        {"pattern": "(a+)+$("},
        {"patternProperties": {"^a": {}}},
        {"description": "x" * 200_000},
        {"$ref": "http://127.0.0.1:9/x.json"},
        {"properties": {"a": {"$ref": "#/$defs/nowhere"}}, "$defs": {"a": {}}},
        {"$ref": "#"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        reduce(lambda inner, _: {"properties": {"a": inner}}, range(300), {"type": "string"}),
    ],
)
async def test_a_schema_that_cannot_be_kept_to_is_refused(tmp_path: Path, schema: dict[str, Any]) -> None:
    served = serving(tmp_path)
    view = await served.session("text")
    with pytest.raises(ValidationFailed, match="output_schema"):
        await submit(MINE, view.session.session_id, NewExecution("?", output_schema=schema), served.service)


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"parts": {"type": "array", "items": {"$ref": "#"}}}},
        {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string"}}},
        {"$id": "https://example.com/whole", "$ref": "part", "$defs": {"p": {"$id": "part"}}},
        {"properties": {"a": {"$ref": "#named"}}, "$defs": {"a": {"$anchor": "named"}}},
    ],
)
def test_a_schema_may_refer_to_what_is_in_it(schema: dict[str, Any]) -> None:
    JsonSchemas().check(schema)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"$ref": "http://127.0.0.1:9/x.json"}, 1),
        ({"$ref": "#"}, 1),
        ({"$ref": "#/nowhere"}, 1),
        ({"type": "string", "pattern": "^(a+)+$"}, "a" * 40 + "b"),
    ],
)
def test_whatever_a_schema_says_an_answer_is_judged(schema: dict[str, Any], value: Any) -> None:
    assert isinstance(JsonSchemas().settled(schema, Final(str(value), value)), str)


async def test_a_follow_up_sees_the_earlier_answer_and_what_was_kept(tmp_path: Path) -> None:
    model = ScriptedModel(
        [
            step("state['n'] = 1\nseen = ['a']\nFINAL('Ann')"),
            step("FINAL(state['n'] + len(seen))"),
            "FINAL(7)",
        ]
    )
    served = serving(tmp_path, model)
    view = await served.session("Ann is 7.")
    session_id = view.session.session_id
    first = await answered(served, session_id, "Who is it?")
    second = await answered(served, session_id, "How many?", continue_from=first.execution.execution_id)
    assert second.finished is not None
    assert second.finished.value == 2
    told = model.requests[1].messages[-1].content
    assert "EARLIER QUESTION\nWho is it?\nEARLIER ANSWER\nAnn" in told
    assert "variables: seen" in told
    third = await answered(served, session_id, "Sure?", continue_from=second.execution.execution_id)
    assert third.execution.earlier is not None
    assert [e.answer for e in third.execution.earlier.exchanges] == ["Ann", "2"]


async def test_only_an_ended_execution_of_the_same_session_is_gone_on_from(tmp_path: Path) -> None:
    served = serving(tmp_path, ScriptedModel([step("FINAL(1)")]))
    mine = (await served.session("a")).session.session_id
    other = (await served.session("b")).session.session_id
    theirs = (await served.session("c", tenant=THEIRS)).session.session_id
    ended = (await answered(served, mine)).execution.execution_id
    running = await submit(MINE, mine, NewExecution("?"), served.service)
    for tenant, session_id, execution_id, error in (
        (MINE, other, ended, ValidationFailed),
        (MINE, mine, running.execution.execution_id, ValidationFailed),
        (MINE, mine, "exec_no", ExecutionNotFound),
        (THEIRS, theirs, ended, ExecutionNotFound),
    ):
        with pytest.raises(error):
            await submit(tenant, session_id, NewExecution("?", continue_from=execution_id), served.service)
