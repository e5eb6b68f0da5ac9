"""The trace artefact: what it holds, that it is what happened, and what redaction leaves of it."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from serving import BUCKET, MINE, Serving, serving
from stage import by_turn, step

from rlm_rs.core.errors import BlobNotFound, ChecksumMismatch, ExecutionNotFound, ProviderFailed
from rlm_rs.core.execution import Run
from rlm_rs.core.model import ModelReply, ModelRequest
from rlm_rs.core.ports import ModelProvider
from rlm_rs.orchestrator import runtime
from rlm_rs.orchestrator.executions import Choices, NewExecution, cancel, go_on, submit
from rlm_rs.orchestrator.lifecycle import delete_session, ingest_session
from rlm_rs.orchestrator.ports import Ports
from rlm_rs.orchestrator.sessions import corpus_of
from rlm_rs.orchestrator.tracing.building import prompt_messages, trace_checksum, trace_of
from rlm_rs.orchestrator.tracing.redaction import redacted
from rlm_rs.orchestrator.tracing.stored import live_trace, read_trace, trace_uri
from rlm_rs.providers.openai import OpenAIConfig, OpenAIProvider
from rlm_rs.testing.models import ScriptedModel
from rlm_rs.testing.openai_script import Prompt
from rlm_rs.testing.openai_server import OpenAITestServer

TEXTS = ("alpha secret-one beta " * 40, "gamma secret-two delta " * 40)
SCHEMA = orjson.loads(
    (resources.files("rlm_rs.orchestrator.tracing") / "rlm_trace_v1.schema.json").read_bytes()
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

LOOK = step("hits = context[0].find('secret-one')\nstate['hits'] = hits\nprint(context[0][0:16])")
ASK = step("print(llm_query('Is secret-one in ' + context[0][6:16] + '?'))")
QUEUE = step(
    "tool.queue_llm('key-secret', 'Sum up ' + context[1][0:20], metadata={'why': 'secret-three'})\n"
    "tool.YIELD('secret-four')"
)
DELEGATE = step("print(rlm_query('What does secret-two mean?', context[1]))")
FAILING = step("print(llm_query('Fail, secret-two'))")
BROKEN = step("print(context[0][0:10])\nraise ValueError('secret-five')")
PROSE = "I will think about secret-six first."
ANSWER = step("FINAL('It is secret-seven ' + context[0].cite(6, 16, note='secret-eight'))")
EVERYTHING = (LOOK, ASK, QUEUE, DELEGATE, FAILING, BROKEN, PROSE, ANSWER)


def root(replies: Sequence[str]) -> Any:
    """A root model for an execution and its children, which answer at once."""
    play = by_turn(*replies)

    def reply(request: ModelRequest) -> str | ModelReply | Exception:
        child = "What does secret-two mean?" in request.messages[1].content
        return step("FINAL(context[0][6:16])") if child else play(request)

    return reply


def sub(request: ModelRequest) -> str | ModelReply | Exception:
    failure = ProviderFailed("secret-five", retryable=False)
    return failure if "Fail" in request.messages[0].content else "a summary of secret-ten"


async def answered(served: Serving, *texts: str, **new: Any) -> Run:
    """An execution over these texts, driven to its end."""
    view = await served.session(*(texts or TEXTS))
    question = new.pop("question", "What is secret-nine?")
    run = await submit(MINE, view.session.session_id, NewExecution(question, **new), served.service)
    run, _ = await go_on(MINE, run.execution.execution_id, served.service.ports)
    return run


async def traced(run: Run, ports: Ports) -> dict[str, Any]:
    trace = await read_trace(MINE, run.execution.execution_id, ports)
    VALIDATOR.validate(trace)
    return trace


def root_prompts(model: ScriptedModel, question: str) -> list[list[dict[str, str]]]:
    """What the root model was sent for a question, in order."""
    return [
        [{"role": message.role, "content": message.content} for message in request.messages]
        for request in model.requests
        if request.model == model.root_model and question in request.messages[1].content
    ]


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel(root(EVERYTHING), sub)


@pytest.fixture
def served(tmp_path: Path, model: ScriptedModel) -> Serving:
    return serving(tmp_path, model)


async def test_everything_that_happened_is_in_it(served: Serving) -> None:
    run = await answered(served)
    trace = await traced(run, served.service.ports)
    turns = trace["turns"]
    assert [turn["turn_index"] for turn in turns] == list(range(8))
    assert [turn["root_reply"] for turn in turns] == list(EVERYTHING)
    assert turns[0]["repl_code"].startswith("hits = ")
    assert turns[0]["step"]["stdout"] == "alpha secret-one\n"
    assert [span["tag"] for span in turns[0]["span_log"]] == ["scan:find", None]
    assert turns[0]["state_summary"]["state"] == {"hits": "list of 20"}
    assert turns[1]["tool_results"]["llm"]["1.0"]["text"] == "a summary of secret-ten"
    assert turns[1]["tool_results"]["llm"]["1.0"]["meta"]["model"] == "scripted-sub"
    assert turns[1]["tool_requests"]["llm"][0]["called"] is True
    assert turns[2]["tool_status"] == {"key-secret": "resolved"}
    assert turns[2]["step"]["final"] == {"is_final": False, "answer": "secret-four", "value": None}
    assert turns[3]["tool_results"]["llm"]["3.0"]["meta"]["child_id"].endswith("-3.0")
    assert turns[4]["tool_results"]["llm"]["4.0"]["meta"]["error"]["code"] == "LLM_PROVIDER_ERROR"
    assert turns[5]["step"]["error"]["code"] == "STEP_ERROR"
    assert turns[6]["step"] is None
    assert [error["turn_index"] for error in trace["parse_errors"]] == [6]
    assert run.finished is not None
    assert trace["execution"]["answer"] == run.finished.answer
    assert trace["execution"]["citations"][0]["note"] == "secret-eight"
    assert [document["source_name"] for document in trace["documents"]] == ["doc-0.txt", "doc-1.txt"]
    assert trace["evaluation"] is None


async def test_its_figures_are_those_of_the_journal(served: Serving) -> None:
    run = await answered(served)
    trace = await traced(run, served.service.ports)
    metrics = trace["metrics"]
    assert metrics["turns"] == 8
    assert (metrics["parse_errors"], metrics["step_errors"], metrics["subcall_errors"]) == (1, 1, 1)
    assert (metrics["llm_subcalls"], metrics["rlm_subcalls"]) == (4, 1)
    assert metrics["docs_touched"] == 2
    assert metrics["max_span_chars"] == 20
    assert metrics["unique_span_chars"] == 16 + 20
    assert metrics["span_chars"] == 16 + 10 + 20 + 10 + 10
    assert metrics["scan_span_chars"] == metrics["scan_max_span_chars"] == len(TEXTS[0])
    assert metrics["scan_docs_touched"] == 1
    assert metrics["cost_usd"] == 0
    by_model = trace["models"]
    assert by_model["scripted-root"]["calls"] == 8
    assert by_model["child executions"]["calls"] == 1
    assert sum(use["input_tokens"] for use in by_model.values()) == metrics["input_tokens"]
    assert sum(use["output_tokens"] for use in by_model.values()) == metrics["output_tokens"]


async def test_root_prompts_are_those_that_were_sent(served: Serving, model: ScriptedModel) -> None:
    run = await answered(served)
    trace = await traced(run, served.service.ports)
    assert [prompt_messages(turn) for turn in trace["turns"]] == root_prompts(model, "secret-nine")
    assert {turn["root_prompt_version"] for turn in trace["turns"]} == {run.turns[0].reply.prompt_version}


async def test_root_prompts_are_rebuilt_without_the_calls_records(
    served: Serving, model: ScriptedModel
) -> None:
    run = await answered(served)
    await served.blobs.delete_prefix(f"s3://{BUCKET}/cache/")
    trace = await live_trace(MINE, run.execution.execution_id, served.service.ports)
    assert [prompt_messages(turn) for turn in trace["turns"]] == root_prompts(model, "secret-nine")


@pytest.mark.parametrize(
    ("budgets", "status"),
    [
        ({"max_turns": 2}, "MAX_TURNS_EXCEEDED"),
        ({"max_total_tokens": 40_000, "max_turns": 50}, "BUDGET_EXCEEDED"),
        ({"max_consecutive_errors": 1}, "BUDGET_EXCEEDED"),
    ],
)
async def test_the_question_for_a_best_answer_is_rebuilt_too(
    tmp_path: Path, budgets: dict[str, int], status: str
) -> None:
    model = ScriptedModel(by_turn(LOOK if "max_consecutive_errors" not in budgets else BROKEN, LOOK))
    served = serving(tmp_path, model)
    run = await answered(served, choices=Choices(budgets=budgets))
    assert run.finished is not None
    assert run.finished.status == status
    await served.blobs.delete_prefix(f"s3://{BUCKET}/cache/")
    trace = await live_trace(MINE, run.execution.execution_id, served.service.ports)
    VALIDATOR.validate(trace)
    assert "Your budget is used up" in trace["turns"][-1]["root_prompt"]
    assert [prompt_messages(turn) for turn in trace["turns"]] == root_prompts(model, "secret-nine")


async def test_under_other_settings_the_prompts_come_from_the_calls_records(
    served: Serving, model: ScriptedModel
) -> None:
    run = await answered(served)
    ports = replace(served.service.ports, state_summary=False, windows={"scripted-root": 2000})
    trace = await live_trace(MINE, run.execution.execution_id, ports)
    assert [prompt_messages(turn) for turn in trace["turns"]] == root_prompts(model, "secret-nine")


async def test_a_prompt_that_cannot_be_had_exactly_is_left_out(served: Serving) -> None:
    run = await answered(served)
    await served.blobs.delete_prefix(f"s3://{BUCKET}/cache/")
    ports = replace(served.service.ports, state_summary=False)
    trace = await live_trace(MINE, run.execution.execution_id, ports)
    VALIDATOR.validate(trace)
    assert trace["turns"][0]["root_prompt"]
    assert trace["turns"][1]["root_prompt"] is None


async def test_prompts_beyond_what_a_trace_holds_are_left_out(served: Serving) -> None:
    run = await answered(served)
    ports, execution = served.service.ports, run.execution
    events = [event for _, event in await ports.log.events(MINE, execution.execution_id)]
    corpus = await corpus_of(MINE, execution.session_id, ports.catalog)
    trace = await trace_of(events, corpus, None, ports, prompt_chars=run.turns[0].reply.prompt_chars + 1)
    VALIDATOR.validate(trace)
    assert [turn["root_prompt"] is None for turn in trace["turns"]] == [False, False, *[True] * 6]


async def test_over_the_wire_the_prompts_are_those_the_server_saw(tmp_path: Path) -> None:
    replies = iter((LOOK, PROSE, ANSWER))

    def script(prompt: Prompt) -> str:
        return next(replies)

    async with OpenAITestServer(script) as server:
        provider: ModelProvider = OpenAIProvider(OpenAIConfig(api_key="k", base_url=server.base_url))
        served = serving(tmp_path, provider)
        run = await answered(served)
        await provider.close()
        sent = [exchange.body["messages"] for exchange in server.requests]
    trace = await traced(run, served.service.ports)
    assert [prompt_messages(turn) for turn in trace["turns"]] == sent


async def test_it_is_written_when_the_execution_ends_and_is_what_the_journal_gives(served: Serving) -> None:
    run = await answered(served)
    uri = trace_uri(run, BUCKET)
    assert (
        uri == f"s3://{BUCKET}/traces/{MINE}/{run.execution.session_id}/{run.execution.execution_id}.json.gz"
    )
    stored = gzip.decompress(await served.blobs.get(uri))
    again = await live_trace(MINE, run.execution.execution_id, served.service.ports)
    assert stored == orjson.dumps(again, option=orjson.OPT_SORT_KEYS)
    assert again["checksum"] == trace_checksum(again)
    assert await served.stored("traces") == [uri]


async def test_a_changed_object_is_noticed(served: Serving) -> None:
    run = await answered(served)
    uri = trace_uri(run, BUCKET)
    trace = orjson.loads(gzip.decompress(await served.blobs.get(uri)))
    trace["execution"]["answer"] = "another"
    await served.blobs.delete(uri)
    await served.blobs.put(uri, gzip.compress(orjson.dumps(trace)))
    with pytest.raises(ChecksumMismatch):
        await read_trace(MINE, run.execution.execution_id, served.service.ports)


async def test_a_running_execution_has_a_trace_so_far(tmp_path: Path) -> None:
    served = serving(tmp_path)
    view = await served.session("alpha")
    run = await submit(MINE, view.session.session_id, NewExecution("What?"), served.service)
    trace = await traced(run, served.service.ports)
    assert (trace["execution"]["status"], trace["turns"]) == ("RUNNING", [])
    run = await cancel(MINE, run.execution.execution_id, served.service)
    trace = await traced(run, served.service.ports)
    assert (trace["execution"]["status"], trace["turns"]) == ("CANCELLED", [])


async def test_runtime_mode_has_one_too(tmp_path: Path) -> None:
    served = serving(tmp_path, ScriptedModel([], "a summary"))
    view = await served.session("alpha beta")
    new = runtime.NewRuntime()
    run = await runtime.create_runtime(MINE, view.session.session_id, new, served.service)
    execution_id = run.execution.execution_id
    search = {"search": [{"key": "s", "query": "beta"}]}
    await runtime.resolve_tools(MINE, execution_id, search, {}, served.service)
    for code in ("tool.queue_llm('k', context[0][0:5])", "raise KeyError('k')", "FINAL(context[0][0:5])"):
        await runtime.step(MINE, execution_id, code, None, True, served.service)
    trace = await traced(run, served.service.ports)
    assert trace["execution"]["mode"] == "RUNTIME"
    assert [turn["root_model"] for turn in trace["turns"]] == ["client"] * 4
    assert [turn["root_prompt"] for turn in trace["turns"]] == [None] * 4
    assert [turn["step"]["success"] for turn in trace["turns"][1:]] == [True, False, True]
    found = trace["turns"][0]["tool_results"]["search"]["s"]
    assert found["meta"]["error"]["code"] == "SEARCH_NOT_ENABLED"
    VALIDATOR.validate(redacted(trace))
    assert trace["turns"][1]["tool_results"]["llm"]["k"]["text"] == "a summary"
    assert len(await served.stored("traces")) == 1


async def test_contexts_mode_and_follow_ups_and_schemas_are_in_it(tmp_path: Path) -> None:
    found = step("for doc in context: doc.slice(0, 5, tag='context:start')\nFINAL('done')")
    typed = step("FINAL({'n': 1})")
    served = serving(tmp_path, ScriptedModel([found, ANSWER, typed]))
    run = await answered(served, output_mode="CONTEXTS")
    trace = await traced(run, served.service.ports)
    assert [item["text"] for item in trace["execution"]["contexts"]] == ["alpha", "gamma"]
    first = await answered(served)
    new = NewExecution("And?", continue_from=first.execution.execution_id, output_schema={"type": "object"})
    run = await submit(MINE, first.execution.session_id, new, served.service)
    run, _ = await go_on(MINE, run.execution.execution_id, served.service.ports)
    trace = await traced(run, served.service.ports)
    assert trace["execution"]["earlier"][0]["question"] == "What is secret-nine?"
    assert trace["execution"]["value"] == {"n": 1}
    assert trace["turns"][0]["root_prompt"] is not None


async def test_redaction_leaves_no_word_and_no_place(served: Serving) -> None:
    run = await answered(served, choices=Choices(options={"reference_answers": ["secret-eleven"]}))
    trace = await traced(run, served.service.ports)
    hidden = redacted(trace)
    VALIDATOR.validate(hidden)
    text = orjson.dumps(hidden).decode()
    assert "secret" not in text
    for word in ("alpha", "gamma", "a summary", "doc-0", "hits =", "find", "print", "ValueError"):
        assert word not in text
    for turn in hidden["turns"]:
        assert {value for span in turn["span_log"] for value in span.values()} <= {"[REDACTED]", None}
    assert hidden["execution"]["citations"][0]["ref"]["start_char"] == "[REDACTED]"
    assert hidden["execution"]["citations"][0]["ref"]["checksum"] == "[REDACTED]"
    assert hidden["metrics"] == trace["metrics"]
    assert hidden["models"] == trace["models"]
    assert hidden["checksum"] == trace_checksum(hidden)


async def test_a_number_that_is_the_answer_is_redacted(tmp_path: Path) -> None:
    served = serving(tmp_path, ScriptedModel([step("FINAL(4217)")]))
    hidden = redacted(await traced(await answered(served), served.service.ports))
    assert "4217" not in orjson.dumps(hidden).decode()


async def test_what_is_kept_is_redacted_where_that_was_asked_for(tmp_path: Path) -> None:
    served = serving(tmp_path, ScriptedModel(lambda _: ANSWER))
    run = await answered(served, choices=Choices(options={"redact_trace": True}))
    stored = gzip.decompress(await served.blobs.get(trace_uri(run, BUCKET)))
    assert b"secret" not in stored
    assert await traced(run, served.service.ports) == orjson.loads(stored)
    ports = replace(served.service.ports, redact_traces=True)
    run, _ = await go_on(MINE, (await answered(served)).execution.execution_id, ports)
    assert "secret" not in str(await live_trace(MINE, run.execution.execution_id, ports))


async def test_nothing_is_kept_where_traces_are_off(tmp_path: Path) -> None:
    served = serving(tmp_path, ScriptedModel([ANSWER]))
    service = replace(served.service, ports=replace(served.service.ports, keep_traces=False))
    await answered(replace(served, service=service))
    assert await served.stored("traces") == []


async def test_a_removed_session_takes_its_traces_along(served: Serving) -> None:
    run = await answered(served)
    await delete_session(MINE, run.execution.session_id, served.service)
    await ingest_session(MINE, run.execution.session_id, served.service)
    assert await served.stored("traces", "cache") == []
    with pytest.raises(BlobNotFound):
        await served.blobs.get(trace_uri(run, BUCKET))
    with pytest.raises(ExecutionNotFound):
        await read_trace(MINE, run.execution.execution_id, served.service.ports)


async def test_strangers_see_nothing(served: Serving) -> None:
    run = await answered(served)
    with pytest.raises(ExecutionNotFound):
        await read_trace("tenant-b", run.execution.execution_id, served.service.ports)
