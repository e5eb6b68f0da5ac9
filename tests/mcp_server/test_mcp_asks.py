"""The tools as the official client finds them: asks, handles, bounds, errors, resources."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError
from mcp_calling import QUESTION, executions_of, given, refused, serving, text_of

from rlm_rs.api.views import StepOut
from rlm_rs.mcp.cutting import ANSWER_TOKENS, json_tokens, tokens
from rlm_rs.mcp.replies import step_shown
from rlm_rs.mcp.wording import step_text
from rlm_rs.testing.models import ScriptedModel

SEED = {
    *("rlm_create_session", "rlm_get_session", "rlm_delete_session", "rlm_start_execution"),
    *("rlm_get_execution", "rlm_wait_execution", "rlm_runtime_create_execution", "rlm_runtime_step"),
    *("rlm_resolve_tools", "rlm_get_span", "rlm_verify_citation"),
}
WORDS = " ".join(f"word{number}" for number in range(20_000))
LONG_ANSWER = "```repl\nFINAL(' '.join(f'word{n}' for n in range(20_000)))\n```"


async def ready(client: Any, session_id: str) -> dict[str, Any]:
    while True:
        session = given(await client.call_tool("rlm_get_session", {"session_id": session_id}))
        if session["status"] != "CREATING":
            return session
        await asyncio.sleep(0.05)


async def test_every_tool_says_what_it_takes_gives_and_does(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        tools = (await client.list_tools()).tools
    assert {tool.name for tool in tools} == SEED | {"rlm_cancel_execution", "ask", "read_source"}
    for tool in tools:
        assert tool.title
        assert tool.description
        assert len(tool.description) < 600
        assert tool.input_schema["type"] == "object"
        assert tool.output_schema is not None
        assert tool.output_schema["type"] == "object"
        hints = tool.annotations
        assert hints is not None
        assert None not in (
            hints.read_only_hint,
            hints.destructive_hint,
            hints.idempotent_hint,
            hints.open_world_hint,
        )
        assert not (hints.read_only_hint and hints.destructive_hint)
    requests = {tool.name for tool in tools if "request" in tool.input_schema["properties"]}
    takes_a_body = SEED - {"rlm_get_session", "rlm_delete_session", "rlm_get_execution"}
    assert requests == takes_a_body
    reading = {tool.name for tool in tools if tool.annotations and tool.annotations.read_only_hint}
    assert {"read_source", "rlm_get_span", "rlm_verify_citation", "rlm_wait_execution"} <= reading
    assert {"ask", "rlm_delete_session", "rlm_cancel_execution", "rlm_runtime_step"}.isdisjoint(reading)
    assert sum(len(json.dumps(tool.input_schema)) for tool in tools) < 24_000


async def test_an_ask_reads_files_answers_and_cites(tmp_path: Path, leases: Path) -> None:
    (leases / "empty.md").write_text("")
    async with serving(tmp_path / "data", leases) as (client, _):
        result = await client.call_tool("ask", {"question": QUESTION, "paths": ["."]})
        asked = given(result)
        (citation,) = asked["citations"]
        assert asked["status"] == "COMPLETED"
        assert "six months' written notice" in citation["quote"]
        assert citation["verified"]
        assert citation["source_name"] == "lease.md"
        assert "[1] lease.md" in text_of(result)
        assert [line.partition(":")[0] for line in asked["unread"]] == ["empty.md"]

        named = {"execution_id": asked["execution_id"], "citation": 1}
        passage = given(await client.call_tool("read_source", named))
        cited = passage["text"][passage["cited_from"] - passage["start_char"] :]
        assert cited.startswith(citation["quote"][:40])
        assert given(await client.call_tool("rlm_verify_citation", {"request": named}))["valid"]

        again = given(await client.call_tool("ask", {"question": QUESTION, "paths": [str(leases)]}))
        assert again["session_id"] == asked["session_id"]


async def test_what_files_hold_now_is_asked_and_not_what_they_held(tmp_path: Path, leases: Path) -> None:
    async with serving(tmp_path / "data", leases) as (client, _):
        before = given(await client.call_tool("ask", {"question": QUESTION, "paths": ["lease.md"]}))
        (leases / "lease.md").write_text(
            "The Tenant may end this lease for convenience on one day's notice.\n"
        )
        after = given(await client.call_tool("ask", {"question": QUESTION, "paths": ["lease.md"]}))
    assert before["session_id"] != after["session_id"]
    assert "one day's notice" in after["answer"]


async def test_an_ask_goes_on_in_a_session_and_follows_up(tmp_path: Path, leases: Path) -> None:
    model = ScriptedModel(root=["```repl\nFINAL('first')\n```", "```repl\nFINAL('second')\n```"])
    async with serving(tmp_path / "data", leases, provider=model) as (client, _):
        first = given(await client.call_tool("ask", {"question": "What?", "paths": ["lease.md"]}))
        follow = {"question": "And then?", "continue_from": first["execution_id"]}
        second = given(await client.call_tool("ask", follow))
    assert (first["answer"], second["answer"]) == ("first", "second")
    assert second["session_id"] == first["session_id"]
    assert any("first" in message.content for message in model.requests[-1].messages)


async def test_what_takes_long_is_answered_with_a_handle_that_leads_to_the_answer(
    tmp_path: Path, leases: Path
) -> None:
    model = ScriptedModel(root=["```repl\nFINAL('late')\n```"], latency=0.5)
    told: list[tuple[float, str | None]] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append((done, message))

    async with serving(tmp_path / "data", leases, provider=model) as (client, _):
        session = given(await client.call_tool("rlm_create_session", {"paths": ["lease.md"]}))
        await ready(client, session["session_id"])
        wanted = {"question": "What?", "session_id": session["session_id"], "wait_seconds": 0.1}
        handle = given(await client.call_tool("ask", wanted))
        assert (handle["status"], handle["answer"]) == ("RUNNING", None)
        assert handle["execution_id"] in handle["next"]
        assert "rlm_wait_execution" in handle["next"]
        waiting = {"execution_id": handle["execution_id"], "request": {"timeout_seconds": 30}}
        ended = given(await client.call_tool("rlm_wait_execution", waiting, progress_callback=progress))
    assert (ended["status"], ended["answer"]) == ("COMPLETED", "late")
    assert told[-1][1] == "ended: COMPLETED"
    assert [done for done, _ in told] == sorted({done for done, _ in told})


async def test_documents_that_take_long_are_answered_with_a_handle_too(tmp_path: Path, leases: Path) -> None:
    async with serving(tmp_path / "data", leases) as (client, _):
        wanted = {"question": QUESTION, "paths": ["lease.md"], "wait_seconds": 0.001}
        asked = given(await client.call_tool("ask", wanted))
        assert (asked["status"], asked["answer"]) == (None, None)
        assert "ask again" in asked["next"]
        assert given(await client.call_tool("ask", {**wanted, "wait_seconds": 40}))["answer"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_cancelled_call_cancels_its_execution(tmp_path: Path, leases: Path, mode: str) -> None:
    begun = asyncio.Event()

    async def progress(done: float, total: float | None, message: str | None) -> None:
        if message == "asking the root model":
            begun.set()

    model = ScriptedModel(root=["never"], latency=600)
    async with serving(tmp_path / "data", leases, provider=model, mode=mode) as (client, engine):
        wanted = {"question": "What?", "paths": ["lease.md"]}
        call = asyncio.ensure_future(client.call_tool("ask", wanted, progress_callback=progress))
        await begun.wait()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        (row,) = await executions_of(engine)
        assert (await engine.wait_execution(row.execution_id, 30)).status == "CANCELLED"


async def test_an_answer_of_any_length_is_short_and_can_be_read_on(tmp_path: Path, leases: Path) -> None:
    model = ScriptedModel(root=[LONG_ANSWER])
    async with serving(tmp_path / "data", leases, provider=model) as (client, _):
        result = await client.call_tool("ask", {"question": "What?", "paths": ["lease.md"]})
        asked = given(result)
        assert tokens(text_of(result)) <= ANSWER_TOKENS
        assert json_tokens(asked) <= ANSWER_TOKENS
        assert asked["answer_chars"] == len(WORDS)
        read = asked["answer"]
        while f"answer_from={len(read)}" in (asked["next"] or ""):
            further = {"execution_id": asked["execution_id"], "answer_from": len(read)}
            found = given(await client.call_tool("rlm_get_execution", further))
            read += found["answer"]
            asked["next"] = found["next"]
        assert read == WORDS
        whole = await client.read_resource(f"rlm://executions/{asked['execution_id']}/answer")
    assert whole.contents[0].text.startswith(WORDS)


async def test_many_citations_fit_as_far_as_there_is_room(tmp_path: Path, leases: Path) -> None:
    line = "The quick brown fox number {} jumps over the lazy dog, as foxes of that number do in spring.\n"
    (leases / "lease.md").write_text("".join(line.format(number) for number in range(40)))
    code = (
        "```repl\nends = [i for i, c in enumerate(context[0][:]) if c == chr(10)]\nstart = 0\n"
        "for end in ends:\n    context[0].cite(start, end - 1)\n    start = end + 1\n"
        "FINAL('Every fox.')\n```"
    )
    async with serving(tmp_path / "data", leases, provider=ScriptedModel(root=[code])) as (client, _):
        result = await client.call_tool("ask", {"question": "What?", "paths": ["lease.md"]})
        asked = given(result)
        shown = len(asked["citations"])
        assert asked["citations_total"] == 40
        assert 3 < shown < 40
        assert max(tokens(text_of(result)), json_tokens(asked)) <= ANSWER_TOKENS
        further = {"execution_id": asked["execution_id"], "citations_from": 20}
        rest = given(await client.call_tool("rlm_get_execution", further))
    assert len(rest["citations"]) == 20


async def test_the_seeds_tools_run_a_session_from_its_making_to_its_end(tmp_path: Path, leases: Path) -> None:
    async with serving(tmp_path / "data", leases) as (client, engine):
        copy = tmp_path / "data" / "copy.md"
        copy.write_bytes((leases / "lease.md").read_bytes())
        uri = await engine.store("lease.md", copy)
        docs = [{"source_name": "lease.md", "mime_type": "text/markdown", "raw_s3_uri": uri}]
        made = given(
            await client.call_tool("rlm_create_session", {"request": {"ttl_minutes": 60, "docs": docs}})
        )
        session = await ready(client, made["session_id"])
        assert (session["status"], session["readiness"]["ready"]) == ("READY", True)

        started = given(
            await client.call_tool(
                "rlm_start_execution",
                {"session_id": made["session_id"], "request": {"question": QUESTION}},
            )
        )
        named = {"execution_id": started["execution_id"]}
        ended = given(
            await client.call_tool("rlm_wait_execution", {**named, "request": {"timeout_seconds": 30}})
        )
        assert ended["status"] == "COMPLETED"
        (citation,) = ended["citations"]
        found = given(await client.call_tool("rlm_verify_citation", {"request": {"ref": citation}}))
        assert found["valid"]
        forged = {"request": {"ref": {**citation, "start_char": citation["start_char"] + 1}}}
        assert not given(await client.call_tool("rlm_verify_citation", forged))["valid"]
        span = {name: citation[name] for name in ("session_id", "doc_id", "start_char", "end_char")}
        read = given(await client.call_tool("rlm_get_span", {"request": span}))
        assert read["text"] == found["text"]
        assert read["ref"]["checksum"] == citation["checksum"]

        assert given(await client.call_tool("rlm_cancel_execution", named))["status"] == "COMPLETED"
        gone = {"session_id": made["session_id"]}
        assert given(await client.call_tool("rlm_delete_session", gone)) == {"status": "DELETING"}


async def test_steps_of_a_client_run_and_their_sub_calls_are_answered(tmp_path: Path, leases: Path) -> None:
    model = ScriptedModel(root=[], sub=["a sub model's word"])
    async with serving(tmp_path / "data", leases, provider=model) as (client, _):
        made = given(await client.call_tool("rlm_create_session", {"paths": ["lease.md"]}))
        await ready(client, made["session_id"])
        begun = given(
            await client.call_tool("rlm_runtime_create_execution", {"session_id": made["session_id"]})
        )
        named = {"execution_id": begun["execution_id"]}
        queue = "print(len(context))\ntool.queue_llm('k', 'Say it.')\ntool.YIELD()"
        first = given(await client.call_tool("rlm_runtime_step", {**named, "request": {"code": queue}}))
        assert (first["success"], first["stdout"]) == (True, "1\n")
        assert "rlm_resolve_tools" in first["next"]
        resolving = {**named, "request": {"tool_requests": first["tool_requests"]}}
        answered = given(await client.call_tool("rlm_resolve_tools", resolving))
        assert answered["tool_results"]["llm"]["k"]["text"] == "a sub model's word"
        wrong = given(await client.call_tool("rlm_runtime_step", {**named, "request": {"code": "1 / 0"}}))
        assert not wrong["success"]
        large = "state['a'] = 'x' * 20000\nstate['b'] = 1"
        kept = given(await client.call_tool("rlm_runtime_step", {**named, "request": {"code": large}}))
        assert kept["state"] is None
        assert "too long to show" in kept["next"]
        huge = "tool.queue_llm('huge', 'x' * 50000)\ntool.YIELD()"
        queued = given(await client.call_tool("rlm_runtime_step", {**named, "request": {"code": huge}}))
        assert queued["tool_requests"] == {"llm": [], "search": []}
        assert "options.resolve_tools" in queued["next"]
        last = {"code": "FINAL(state['_tool_results']['llm']['k']['text'] + str(len(state['a'])))"}
        ended = given(await client.call_tool("rlm_runtime_step", {**named, "request": last}))
    assert ended["final"]["answer"] == "a sub model's word20000"


async def test_what_a_step_gives_is_bounded_and_says_how_to_read_on(tmp_path: Path, leases: Path) -> None:
    async with serving(tmp_path / "data", leases, provider=ScriptedModel([])) as (client, _):
        made = given(await client.call_tool("rlm_create_session", {"paths": ["lease.md"]}))
        await ready(client, made["session_id"])
        begun = given(
            await client.call_tool("rlm_runtime_create_execution", {"session_id": made["session_id"]})
        )
        named = {"execution_id": begun["execution_id"]}

        async def step(code: str) -> dict[str, Any]:
            result = await client.call_tool("rlm_runtime_step", {**named, "request": {"code": code}})
            assert len(result.model_dump_json()) < 40_000
            return given(result)

        assert "stdout is cut" in (await step("print('o' * 14000)\nraise ValueError('e' * 500000)"))["next"]
        ended = await step("FINAL('0123456789' * 20000)")
        assert ended["final"]["answer_chars"] == 200_000
        start = len(ended["final"]["answer"])
        assert f"rlm_get_execution with answer_from={start} reads on" in ended["next"]
        rest = given(await client.call_tool("rlm_get_execution", {**named, "answer_from": start}))
    assert (ended["final"]["answer"] + rest["answer"]).startswith("0123456789" * 700)


def test_no_part_of_a_step_makes_its_reply_long() -> None:
    long = "x" * 2_000_000
    step = StepOut(
        success=False,
        stdout=long,
        state={"a": long},
        span_log=[{"doc_index": 0, "start_char": 0, "end_char": 1, "tag": None}] * 2_000,
        tool_requests={"llm": [{"key": "k", "prompt": long}], "search": []},
        final={"is_final": True, "answer": long, "value": [long]},
        error={"code": "STEP_FAILED", "message": long, "line": 1, "traceback": long, "more": [long]},
        statuses={f"key {number}": "resolved" for number in range(5_000)} | {"k": "pending"},
    )
    shown = step_shown(step)
    assert len(shown.model_dump_json()) < 40_000
    assert tokens(step_text(shown)) < 2_000
    assert (shown.final or {})["value"] is None
    assert shown.statuses == {"k": "pending"}
    for part in ("stdout is cut", "state is kept", "error is cut", "answer_from="):
        assert part in (shown.next or "")
        assert part in step_text(shown)
    small = StepOut(**{**dict(step), "stdout": "1", "state": {}, "span_log": [], "statuses": {}})
    small = small.model_copy(
        update={"error": {"code": "X", "message": "y"}, "final": None, "tool_requests": {}}
    )
    assert step_shown(small).model_dump(exclude={"next"}) == small.model_dump()


async def test_a_long_citation_is_checked_whole_and_shown_in_part(tmp_path: Path, leases: Path) -> None:
    lines = [f"Clause {number} of the lease.\n" for number in range(5_000)]
    (leases / "long.md").write_text("".join(lines))
    model = ScriptedModel(["```repl\nFINAL(str(len(context[0][:])))\n```"])
    async with serving(tmp_path / "data", leases, provider=model) as (client, _):
        asked = given(await client.call_tool("ask", {"question": QUESTION, "paths": ["long.md"]}))
        named = {"execution_id": asked["execution_id"], "citation": 1}
        result = await client.call_tool("rlm_verify_citation", {"request": named})
        found = given(result)
        assert found["valid"]
        assert len(result.model_dump_json()) < 10_000
        following = f"doc_id={asked['citations'][0]['doc_id']}, start_char={len(found['text'])} reads on"
        assert following in found["next"]
        assert following in text_of(result)
        place = f"rlm://executions/{asked['execution_id']}/citations/1"
        citation = json.loads((await client.read_resource(place)).contents[0].text)
        assert (citation["valid"], len(citation["text"])) == (True, 50_000)
        assert citation["text"].startswith(found["text"])
        rest = (await client.read_resource(citation["next"].split()[0])).contents[0].text
    assert citation["text"] + rest == "".join(lines)[: 50_000 + len(rest)]
    assert len(rest) == 50_000


WRONG: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("ask", {"question": QUESTION}, ("paths", "session_id")),
    ("ask", {"question": " ", "paths": ["lease.md"]}, ("question", "must not be blank")),
    ("ask", {"question": QUESTION, "paths": ["a"], "session_id": "sess_a"}, ("not both",)),
    ("ask", {"qestion": QUESTION}, ("no argument qestion", "question, ")),
    ("ask", {"question": QUESTION, "paths": ["gone.md"]}, ("gone.md", "no such file")),
    ("rlm_get_session", {"session_id": "sess_none"}, ("SESSION_NOT_FOUND", "ask with paths")),
    ("rlm_get_session", {"session_id": "../../health/live"}, ("session_id", "pattern")),
    ("rlm_get_execution", {"execution_id": "exec_none"}, ("EXECUTION_NOT_FOUND", "rlm_start_execution")),
    ("rlm_start_execution", {"session_id": "s", "question": "?"}, ("inside `request`",)),
    ("rlm_verify_citation", {"request": {}}, ("request.ref", "request.citation")),
    ("rlm_create_session", {"request": {"ttl_minutes": 5}}, ("1 to 10,000 documents",)),
    ("read_source", {}, ("execution_id and citation", "doc_id")),
]


async def test_an_error_says_what_to_do_next(tmp_path: Path, leases: Path) -> None:
    async with serving(tmp_path / "data", leases) as (client, _):
        for tool, arguments, words in WRONG:
            told = refused(await client.call_tool(tool, arguments))
            assert all(word in told for word in words), (tool, arguments, told)


async def test_an_execution_that_fails_is_an_error_that_names_it(tmp_path: Path, leases: Path) -> None:
    model = ScriptedModel(root=["```repl\n1 / 0\n```"] * 3)
    async with serving(tmp_path / "data", leases, provider=model) as (client, engine):
        budgets = {"max_turns": 2}
        wanted = {"question": "What?", "paths": ["lease.md"], "budgets": budgets}
        told = refused(await client.call_tool("ask", wanted))
        (execution,) = await executions_of(engine)
    assert execution.execution_id in told
    assert "MAX_TURNS_EXCEEDED" in told
    assert "max_turns" in told


async def test_documents_and_citations_are_resources(tmp_path: Path, leases: Path) -> None:
    async with serving(tmp_path / "data", leases) as (client, _):
        asked = given(await client.call_tool("ask", {"question": QUESTION, "paths": ["lease.md"]}))
        templates = (await client.list_resource_templates()).resource_templates
        assert {template.name for template in templates} == {"document", "citation", "answer"}
        (cited,) = asked["citations"]
        place = f"rlm://sessions/{asked['session_id']}/documents/{cited['doc_id']}"
        whole = (await client.read_resource(place)).contents[0].text
        part = (await client.read_resource(f"{place}?start_char=5&end_char=10")).contents[0].text
        assert part == whole[5:10]
        found = await client.read_resource(f"rlm://executions/{asked['execution_id']}/citations/1")
        citation = json.loads(found.contents[0].text)
        assert citation["valid"]
        assert citation["text"] == whole[citation["start_char"] : citation["end_char"]]
        with pytest.raises(MCPError, match="SESSION_NOT_FOUND"):
            await client.read_resource("rlm://sessions/sess_none/documents/doc_none")
        with pytest.raises(MCPError, match="has 1 citations"):
            await client.read_resource(f"rlm://executions/{asked['execution_id']}/citations/7")
