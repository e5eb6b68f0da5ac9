"""Runtime mode: a client's steps take the same path, with the same budgets, citations and outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from serving import MINE, THEIRS, Serving, serving

from rlm_rs.core.errors import (
    BudgetExceeded,
    ExecutionNotFound,
    MaxTurnsExceeded,
    RlmError,
    StateInvalid,
    StateTooLarge,
    ValidationFailed,
)
from rlm_rs.core.records import ExecutionStatus
from rlm_rs.orchestrator.event_log import replayed
from rlm_rs.orchestrator.executions import Choices, NewExecution, cancel, submit
from rlm_rs.orchestrator.runtime import NewRuntime, StepView, create_runtime, resolve_tools, step
from rlm_rs.testing.models import ScriptedModel

Stepping = Callable[..., Awaitable[StepView]]

QUEUE = "tool.queue_llm('k', 'Sum up: ' + context[0][0:5]); tool.YIELD('waiting')"


def nested(depth: int) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    inner = whole
    for _ in range(depth):
        inner["x"] = inner = {}
    return whole


class Client:
    """A client of one runtime execution."""

    def __init__(self, served: Serving, execution_id: str) -> None:
        self.served, self.execution_id = served, execution_id

    async def step(
        self, code: str, state: Mapping[str, Any] | None = None, resolve: bool = False, tenant: str = MINE
    ) -> StepView:
        return await step(tenant, self.execution_id, code, state, resolve, self.served.service)

    async def tools(self, requests: Mapping[str, Any], models: Mapping[str, str] | None = None) -> Any:
        return await resolve_tools(MINE, self.execution_id, requests, models or {}, self.served.service)


async def client_of(directory: Path, sub: Any = "a summary", latency: float = 0.0, **budgets: Any) -> Client:
    served = serving(directory, ScriptedModel([], sub, latency=latency))
    view = await served.session("alpha beta gamma")
    run = await create_runtime(
        MINE, view.session.session_id, NewRuntime(Choices(budgets=budgets)), served.service
    )
    return Client(served, run.execution.execution_id)


async def test_steps_keep_state_and_show_what_they_read(tmp_path: Path) -> None:
    client = await client_of(tmp_path)
    first = await client.step("state['n'] = 1; print(context[0][0:5])")
    assert first.success
    assert (first.stdout, first.state["n"]) == ("alpha\n", 1)
    assert first.span_log == [{"doc_index": 0, "start_char": 0, "end_char": 5, "tag": None}]
    assert first.final is None
    assert {"_tool_results", "_tool_status", "_budgets", "_trace"} <= first.state.keys()
    second = await client.step("print(state['n'] + 1)")
    assert second.stdout == "2\n"


async def test_a_clients_state_replaces_the_one_kept_but_for_reserved_keys(tmp_path: Path) -> None:
    client = await client_of(tmp_path)
    await client.step("state['old'] = 1")
    view = await client.step("print(sorted(state)); print(state['new'])", {"new": 2, "_budgets": "forged"})
    assert "'old'" not in view.stdout
    assert view.stdout.endswith("2\n")
    assert view.state["_budgets"] != "forged"


async def test_an_answer_ends_the_execution_with_citations(tmp_path: Path) -> None:
    client = await client_of(tmp_path)
    view = await client.step("tool.FINAL('It says ' + context[0][0:5])")
    assert view.final == {"is_final": True, "answer": "It says alpha", "value": "It says alpha"}
    end = view.run.finished
    assert end is not None
    assert end.status == ExecutionStatus.COMPLETED
    assert [c.ref.start_char for c in end.citations] == [0]
    row = await client.served.service.ports.catalog.get_execution(MINE, client.execution_id)
    assert row is not None
    assert (row.status, row.mode) == (ExecutionStatus.COMPLETED, "RUNTIME")
    with pytest.raises(ValidationFailed, match="COMPLETED"):
        await client.step("print(1)")


async def test_errors_are_in_the_view_and_the_execution_goes_on(tmp_path: Path) -> None:
    client = await client_of(tmp_path)
    for _ in range(7):
        failed = await client.step("print('so far'); 1 / 0")
    assert not failed.success
    assert failed.stdout == "so far\n"
    assert failed.error is not None
    assert "ZeroDivisionError" in failed.error["message"]
    assert (await client.step("print('fine')")).success


async def test_calls_that_return_are_resolved_in_the_step(tmp_path: Path) -> None:
    client = await client_of(tmp_path, lambda r: r.messages[-1].content.upper())
    view = await client.step("a = llm_query('one')\nprint(a, llm_query(a + ' two'))")
    assert view.stdout == "ONE ONE TWO\n"
    assert view.run.spend.llm_subcalls == 2


async def test_queued_tools_wait_for_the_client_unless_it_says_otherwise(tmp_path: Path) -> None:
    client = await client_of(tmp_path)
    view = await client.step(QUEUE)
    assert view.final == {"is_final": False, "answer": "waiting"}
    assert [item["key"] for item in view.tool_requests["llm"]] == ["k"]
    assert view.state["_tool_status"] == {"k": "pending"}
    tools = await client.tools(view.tool_requests)
    assert tools.statuses == {"k": "resolved"}
    assert tools.tool_results["llm"]["k"]["text"] == "a summary"
    later = await client.step("print(state['_tool_results']['llm']['k']['text'])")
    assert later.stdout == "a summary\n"
    at_once = await client.step(QUEUE.replace("'k'", "'m'"), resolve=True)
    assert at_once.state["_tool_status"]["m"] == "resolved"


async def test_the_description_of_the_tools_stands_in_the_state(tmp_path: Path) -> None:
    client = await client_of(tmp_path)
    view = await client.step(
        "print(state['_tool_schema'] == tool.schema(), state['_tool_schema']['version'])"
    )
    assert view.stdout == "True v1\n"


async def test_tools_are_answered_from_the_cache_and_before_any_step(tmp_path: Path) -> None:
    client = await client_of(tmp_path)
    requests = {"llm": [{"key": "a", "prompt": "Same?"}], "search": [{"key": "s", "query": "x"}]}
    first = await client.tools(requests)
    again = await client.tools({"llm": [{"key": "b", "prompt": "Same?"}]})
    assert first.statuses == {"a": "resolved", "s": "error"}
    assert (first.tool_results["llm"]["a"]["meta"]["cache_hit"]) is False
    assert (again.tool_results["llm"]["b"]["meta"]["cache_hit"]) is True


async def test_another_sub_model_may_be_named(tmp_path: Path) -> None:
    client = await client_of(tmp_path)
    tools = await client.tools({"llm": [{"key": "a", "prompt": "?"}]}, {"sub_model": "scripted-root"})
    assert tools.statuses == {"a": "error"}
    assert "no reply left" in tools.tool_results["llm"]["a"]["text"]


@pytest.mark.parametrize(
    "requests",
    [
        {"rlm": []},
        {"llm": [{"prompt": "no key"}]},
        {"llm": [{"key": "k"}]},
        {"llm": [{"key": "k", "prompt": 1}]},
        {"llm": [{"key": "", "prompt": "x"}]},
        {"llm": [{"key": "k", "prompt": "x", "max_tokens": 1, "max_output_tokens": 1}]},
        {"llm": [{"key": "k", "prompt": "x", "max_tokens": -1}]},
        {"llm": [{"key": "k", "prompt": "x", "temperature": "hot"}]},
        {"llm": [{"key": "k", "prompt": "x"}], "search": [{"key": "k", "query": "x"}]},
        {"search": [{"key": "k", "query": "x", "k": 10**6}]},
        {"llm": [{"key": "k", "prompt": "x", "metadata": nested(1000)}]},
        {"search": [{"key": "k", "query": "x", "filters": nested(1000)}]},
    ],
)
async def test_tool_requests_that_make_no_sense_are_refused(tmp_path: Path, requests: Any) -> None:
    client = await client_of(tmp_path)
    with pytest.raises(ValidationFailed):
        await client.tools(requests)


async def test_budgets_bound_a_clients_sub_calls(tmp_path: Path) -> None:
    client = await client_of(tmp_path, max_llm_subcalls=1, max_tool_requests_per_step=2)
    tools = await client.tools({"llm": [{"key": k, "prompt": k} for k in "ab"]})
    assert sorted(tools.statuses.values()) == ["error", "resolved"]
    with pytest.raises(BudgetExceeded):
        await client.tools({"llm": [{"key": k, "prompt": k} for k in "abc"]})


async def test_the_last_turn_ends_the_execution(tmp_path: Path) -> None:
    client = await client_of(tmp_path, max_turns=2)
    for _ in range(2):
        await client.step("print(1)")
    with pytest.raises(MaxTurnsExceeded):
        await client.step("print(1)")
    run = await replayed(client.served.service.ports.log, MINE, client.execution_id)
    assert run.finished is not None
    assert run.finished.status == ExecutionStatus.MAX_TURNS_EXCEEDED


async def test_the_time_between_steps_is_the_clients_own(tmp_path: Path) -> None:
    client = await client_of(tmp_path, max_total_seconds=0.6)
    for _ in range(3):
        await client.step("print(1)")
        await asyncio.sleep(0.3)
    assert (await client.step("print(1)")).success


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("text", StateInvalid),
        ({"x": float("nan")}, StateInvalid),
        ({"x": {1, 2}}, StateInvalid),
        ({"x": 2**64}, StateInvalid),
        ({"x": "\ud800"}, StateInvalid),
        ({"x": "y" * 2000}, StateTooLarge),
    ],
)
async def test_state_that_cannot_be_kept_is_refused(
    tmp_path: Path, state: Any, error: type[RlmError]
) -> None:
    client = await client_of(tmp_path, max_state_chars=1000)
    with pytest.raises(error):
        await client.step("print(1)", state)
    assert (await client.step("print(1)")).success


async def test_state_nested_without_end_is_refused(tmp_path: Path) -> None:
    client = await client_of(tmp_path)
    state = nested(5000)
    with pytest.raises(StateInvalid):
        await client.step("print(1)", state)


async def test_strangers_and_other_executions_are_not_stepped(tmp_path: Path) -> None:
    client = await client_of(tmp_path)
    with pytest.raises(ExecutionNotFound):
        await client.step("print(1)", tenant=THEIRS)
    run = await replayed(client.served.service.ports.log, MINE, client.execution_id)
    new = NewExecution("What?")
    other = await submit(MINE, run.execution.session_id, new, client.served.service)
    with pytest.raises(ValidationFailed, match="root model"):
        await Client(client.served, other.execution.execution_id).step("print(1)")


async def test_cancelling_ends_it_and_the_step_in_flight(tmp_path: Path) -> None:
    client = await client_of(tmp_path, latency=30)
    stepping = asyncio.ensure_future(client.step("print(llm_query('slow'))"))
    await asyncio.sleep(0.2)
    run = await cancel(MINE, client.execution_id, client.served.service)
    assert run.finished is not None
    assert run.finished.status == ExecutionStatus.CANCELLED
    with pytest.raises(ValidationFailed, match="CANCELLED"):
        await asyncio.wait_for(stepping, 5)
    with pytest.raises(ValidationFailed, match="CANCELLED"):
        await client.step("print(1)")


async def test_a_request_that_is_cut_off_may_be_made_again(tmp_path: Path) -> None:
    client = await client_of(tmp_path, latency=0.3)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.step("state['n'] = llm_query('slow')"), 0.1)
    view = await client.step("state['n'] = llm_query('slow')")
    assert view.state["n"] == "a summary"
