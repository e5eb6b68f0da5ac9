"""Answers as instances of a type, and follow-up questions, from the library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from pydantic import BaseModel, field_validator

from rlm_rs import RLM, Answer, ExecutionFailed
from rlm_rs.core.errors import ValidationFailed
from rlm_rs.testing.models import ScriptedModel


class Lease(BaseModel):
    """What a lease says of its end."""

    tenant: str
    ends: date
    notice_days: int

    @field_validator("tenant")
    @classmethod
    def _named(cls, value: str) -> str:
        if value == "nobody":
            raise ValueError("a lease has a tenant")
        return value


@dataclass
class Count:
    number: int


class Unknown:
    pass


def step(code: str) -> str:
    return f"```repl\n{code}\n```"


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    (tmp_path / "lease.md").write_text("Ann rents the mill until 2030-01-31, on ninety days' notice.\n")
    return tmp_path / "lease.md"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


GOOD = "FINAL({'tenant': 'Ann', 'ends': '2030-01-31', 'notice_days': 90})"


def test_an_answer_is_an_instance_of_the_model_once_it_satisfies_its_schema(papers: Path, data: Path) -> None:
    model = ScriptedModel([step("FINAL({'tenant': 'Ann'})"), step(GOOD)])
    with RLM(provider=model, data_dir=data) as rlm:
        answer: Answer[Lease] = rlm.ask("What does the lease say?", papers, output=Lease)
    assert answer.value == Lease(tenant="Ann", ends=date(2030, 1, 31), notice_days=90)
    assert answer.value.ends.year == 2030
    assert answer.to_dict()["value"] == {"tenant": "Ann", "ends": "2030-01-31", "notice_days": 90}
    assert "OUTPUT_SCHEMA_VIOLATION" in model.requests[1].messages[-1].content


def test_dataclasses_and_plain_types_do_as_well(papers: Path, data: Path) -> None:
    model = ScriptedModel([step("FINAL({'number': 3})"), step("FINAL([1, 2])")])
    with RLM(provider=model, data_dir=data) as rlm:
        session = rlm.session(papers)
        assert session.ask("How many?", output=Count).value == Count(3)
        assert session.ask("Which?", output=list[int]).value == [1, 2]


def test_what_only_the_type_can_tell_fails_with_the_answer_at_hand(papers: Path, data: Path) -> None:
    model = ScriptedModel([step(GOOD.replace("Ann", "nobody"))])
    with RLM(provider=model, data_dir=data) as rlm:
        with pytest.raises(ExecutionFailed, match=r"no Lease: tenant: .*a lease has a tenant") as failed:
            rlm.ask("What does the lease say?", papers, output=Lease)
        assert failed.value.result.status == "COMPLETED"


@pytest.mark.parametrize("output", [Unknown, Callable[[], int]])
def test_a_type_without_a_schema_is_refused_before_anything_is_read(output: type, data: Path) -> None:
    with (
        RLM(provider=ScriptedModel([]), data_dir=data) as rlm,
        pytest.raises(ValidationFailed, match="output"),
    ):
        rlm.ask("What?", "no/such/file", output=output)


def test_a_schema_or_a_type_but_not_both(data: Path) -> None:
    with RLM(provider=ScriptedModel([]), data_dir=data) as rlm, pytest.raises(ValidationFailed, match="both"):
        rlm.ask("What?", "no/such/file", output=Count, output_schema={"type": "object"})


def test_a_follow_up_needs_no_paths_and_sees_what_was_said_and_kept(papers: Path, data: Path) -> None:
    model = ScriptedModel([step("kept = 90\nFINAL('ninety days')"), step("FINAL(f'{kept + 1}')")])
    with RLM(provider=model, data_dir=data) as rlm:
        first = rlm.ask("What is the notice?", papers)
        second = rlm.ask("And one more day?", continue_from=first.execution_id)
        assert (second.text, second.session_id) == ("91", first.session_id)
        told = "\n".join(message.content for message in model.requests[-1].messages)
        assert "EARLIER ANSWER\nninety days" in told
        plan = rlm.attach(first.session_id).plan("And two?", continue_from=second.execution_id)
        assert any("EARLIER ANSWER\n91" in message.content for message in plan.messages)


def test_without_paths_there_must_be_something_to_follow_up(data: Path) -> None:
    told = pytest.raises(ValidationFailed, match="Name the files")
    with RLM(provider=ScriptedModel([]), data_dir=data) as rlm, told:
        rlm.ask("What?")
