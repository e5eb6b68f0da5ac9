"""Python functions as tools of step code: called by name, recorded, cached, bounded, told of."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from rlm_rs import RLM, SubcallResolved, tool
from rlm_rs.core.errors import ValidationFailed
from rlm_rs.testing.models import ScriptedModel

Asked = Callable[..., Any]


@dataclass
class Rate:
    currency: str
    per_euro: float


def rate(currency: str, on: date | None = None) -> Rate:
    """The rate of a currency.

    More that the model is not told.
    """
    if currency == "ZZZ":
        raise LookupError(f"no rate for {currency} on {on}")
    return Rate(currency, 1.25)


async def shout(words: list[str], *, times: int = 1) -> str:
    """Words, loud."""
    await asyncio.sleep(0)
    return " ".join(words).upper() * times


def leave(code: int) -> None:
    raise SystemExit(code)


def nothing_json() -> float:
    return float("nan")


def endless() -> str:
    return "x" * 2_000_000


@dataclass
class Counted:
    """Tools that keep count of their calls."""

    calls: int = 0

    def tools(self) -> list[Callable[..., Any]]:
        lock = threading.Lock()

        @tool(pure=True, version="1")
        def square(number: int) -> int:
            """A square."""
            with lock:
                self.calls += 1
            return number * number

        @tool(name="tick")
        def counted() -> int:
            """How often it was called."""
            with lock:
                self.calls += 1
            return self.calls

        return [square, counted]


def step(code: str) -> str:
    return f"```repl\n{code}\n```"


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    (tmp_path / "note.md").write_text("The price is 100 dollars.\n")
    return tmp_path / "note.md"


@pytest.fixture
def answer_of(tmp_path: Path, paper: Path) -> Asked:
    """The answer of an execution whose root model writes these steps, and the model."""

    def asked(tools: list[Callable[..., Any]], *steps: str, **options: Any) -> tuple[Any, ScriptedModel]:
        model = ScriptedModel([step(code) for code in steps], sub="yes")
        with RLM(provider=model, data_dir=tmp_path / "data", tools=tools) as rlm:
            answer = rlm.ask("What is the price?", paper, **options)
            events = [event for _, event in rlm.events(answer.execution_id)]
            made = [e for e in events if isinstance(e, SubcallResolved) and e.request.kind == "tool"]
            return (answer, made), model

    return asked


def test_a_tool_returns_its_value_and_the_root_model_knows_of_it(answer_of: Asked) -> None:
    code = (
        "r = rate('USD', on='2024-05-01')\n"
        "loud = await shout(['a', 'b'], times=2)\n"
        "FINAL(f\"{100 / r['per_euro']} {loud} {r}\")"
    )
    (answer, made), model = answer_of([rate, shout], code)
    assert answer.text == "80.0 A BA B {'currency': 'USD', 'per_euro': 1.25}"
    assert [event.request.prompt for event in made] == [
        'rate(currency="USD", on="2024-05-01")',
        'shout(words=["a", "b"], times=2)',
    ]
    assert answer.spend.tool_calls == 2
    assert answer.spend.llm_subcalls == 0
    told = model.requests[0].messages[1].content
    assert "- rate(currency: str, on: datetime.date | None = None) -> " in told
    assert (
        ": The rate of a currency.\n- shout(words: list[str], *, times: int = 1) -> str: Words, loud." in told
    )
    assert "More that the model is not told" not in told


def test_a_failed_call_is_an_error_that_step_code_can_catch(answer_of: Asked) -> None:
    attempts = ["rate('ZZZ')", "rate(1, 2, 3)", "rate(money='x')", "rate()", "rate('USD', on='never')"]
    attempts += ["leave(3)", "nothing_json()", "endless()"]
    code = "seen = []\n" + "".join(
        f"try:\n    {attempt}\nexcept Exception as e:\n    seen.append(str(e))\n" for attempt in attempts
    )
    (answer, made), _ = answer_of([rate, leave, nothing_json, endless], code + "FINAL(seen)")
    unknown, by_place, no_such, missing, wrong, left, not_json, too_long = json.loads(answer.text)
    assert unknown == "TOOL_FAILED: rate: LookupError: no rate for ZZZ on None"
    assert "takes 2 arguments by place, not 3" in by_place
    assert "has no parameter money" in no_such
    assert "needs currency" in missing
    assert wrong.startswith("TOOL_FAILED: rate: on: Input should be a valid date")
    assert left == "TOOL_FAILED: leave: SystemExit: 3"
    assert "is not JSON" in not_json
    assert "it returned 2,000,002 characters" in too_long
    assert [event.result.status for event in made] == ["error"] * 5
    assert answer.status == "COMPLETED"


def test_an_error_that_is_not_caught_is_read_by_the_model(answer_of: Asked) -> None:
    (answer, _), model = answer_of([rate], "rate('ZZZ')", "FINAL('none')")
    assert answer.text == "none"
    told = model.requests[1].messages[-1].content
    assert "ToolFailed: TOOL_FAILED: rate: LookupError: no rate for ZZZ" in told
    assert "line 1" in told


def test_what_is_pure_is_called_once_for_all_and_what_is_not_each_time(
    answer_of: Asked, tmp_path: Path
) -> None:
    counted = Counted()
    code = (
        "import asyncio\n"
        "both = await asyncio.gather(square(4), square(4))\n"
        "FINAL([both, square(4), tick(), tick()])"
    )
    (first, made), _ = answer_of(counted.tools(), code)
    assert json.loads(first.text) == [[16, 16], 16, 2, 3]
    # the two asked at once land in any order
    assert sorted(event.cache_hit for event in made[:2]) == [False, True]
    assert [event.cache_hit for event in made[2:]] == [True, False, False]
    (second, made), _ = answer_of(counted.tools(), code)
    assert json.loads(second.text) == [[16, 16], 16, 4, 5]
    assert [event.cache_hit for event in made][:3] == [True, True, True]


def test_gathered_calls_fail_one_by_one(answer_of: Asked) -> None:
    code = (
        "import asyncio\n"
        "found = await asyncio.gather(rate('USD'), rate('ZZZ'), return_exceptions=True)\n"
        "FINAL([found[0]['currency'], str(found[1])])"
    )
    (answer, _), _ = answer_of([rate], code)
    assert json.loads(answer.text) == ["USD", "TOOL_FAILED: rate: LookupError: no rate for ZZZ on None"]


def test_calls_are_bounded_per_step_and_in_all(answer_of: Asked) -> None:
    code = (
        "made = 0\ntry:\n    for _ in range(5):\n        tick()\n        made += 1\n"
        "except Exception as e:\n    why = str(e)\nFINAL([made, why])"
    )
    (answer, _), _ = answer_of(Counted().tools(), code, budgets={"max_tool_requests_per_step": 2})
    assert json.loads(answer.text)[0] == 2
    assert "max_tool_requests_per_step is 2" in answer.text
    (answer, _), _ = answer_of(Counted().tools(), code, budgets={"max_tool_calls": 3})
    assert json.loads(answer.text)[0] == 3
    assert "3 of 3 tool calls used" in answer.text


def test_children_have_the_tools_too_and_their_calls_count(answer_of: Asked) -> None:
    (answer, _), model = answer_of([rate], "FINAL(rlm_query('The rate?'))", "FINAL(rate('USD')['currency'])")
    assert answer.text == "USD"
    assert answer.spend.tool_calls == 1
    assert "TOOLS" in model.requests[1].messages[1].content


def test_a_tools_name_stays_its_own_and_its_schema_can_be_read(answer_of: Asked) -> None:
    (answer, _), _ = answer_of(
        [rate],
        "rate = rate('USD')\nseen = rate['currency']",
        "names = [t['name'] for t in tool.schema()['tools']]\n"
        "FINAL([seen, rate('EUR')['currency'], names[-1]])",
    )
    assert json.loads(answer.text) == ["USD", "EUR", "rate"]


def test_a_recorded_call_is_not_made_again_after_a_restart(tmp_path: Path, paper: Path) -> None:
    counted, data = Counted(), tmp_path / "data"
    model = ScriptedModel([step("x = tick()\ny = llm_query('so?')\nFINAL([x, y])")], sub="yes")
    with RLM(provider=model, data_dir=data, tools=counted.tools()) as rlm:
        stream = rlm.stream("What?", paper)
        for event in stream:
            if isinstance(event, SubcallResolved):
                break
        stream.close()
        execution_id = rlm.executions(1)[0].execution_id
    with RLM(provider=model, data_dir=data, tools=counted.tools()) as rlm:
        assert json.loads(rlm.resume(execution_id).text or "") == [1, "yes"]
    assert counted.calls == 1


def test_a_tool_that_is_gone_on_resume_is_a_failed_call(tmp_path: Path, paper: Path) -> None:
    data = tmp_path / "data"
    again = step("try:\n    rate('USD')\nexcept Exception as e:\n    FINAL(str(e))")
    # the second turn may have been asked for, and lost, before the stream was closed
    model = ScriptedModel([step("print(rate('USD'))"), again, again])
    with RLM(provider=model, data_dir=data, tools=[rate]) as rlm:
        stream = rlm.stream("What?", paper)
        for event in stream:
            if event.type == "StepRan" and event.result.status == "finished":
                break
        stream.close()
        execution_id = rlm.executions(1)[0].execution_id
    with RLM(provider=model, data_dir=data) as rlm:
        assert rlm.resume(execution_id).text == "TOOL_FAILED: rate: there is no such tool here"


def named(name: str) -> Callable[..., Any]:
    def plain() -> None: ...

    plain.__name__ = name
    return plain


def variadic(*names: str) -> None: ...


def placed(name: str, /) -> None: ...


def unknown(thing: threading.Lock) -> None: ...


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ([variadic], "every parameter needs a name"),
        ([placed], "every parameter needs a name"),
        ([unknown], "cannot be checked"),
        ([named("print")], "means something else"),
        ([named("llm_query")], "means something else"),
        ([named("not a name")], "no name for a function"),
        ([named("_hidden")], "no name for a function"),
        ([lambda: 1], "no name for a function"),
        ([rate, rate], "Two tools are called rate"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_at_once(
    tools: list[Callable[..., Any]], said: str, tmp_path: Path
) -> None:
    refused = pytest.raises(ValidationFailed, match=said)
    with RLM(provider=ScriptedModel([]), data_dir=tmp_path, tools=tools) as rlm, refused:
        rlm.ask("What?", "no/such/file")
