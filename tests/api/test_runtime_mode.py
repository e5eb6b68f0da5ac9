"""A client writes the steps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
from api_server import LEASE, code_of, running, session, until

from rlm_rs.testing.models import ScriptedModel


def begun(client: httpx2.Client, **options: Any) -> str:
    made = client.post(f"/v1/sessions/{session(client)}/executions/runtime", json={"options": options})
    assert (made.status_code, made.json()["status"]) == (201, "RUNNING")
    return f"/v1/executions/{made.json()['execution_id']}"


def test_steps_keep_state_and_the_last_one_answers(acme: httpx2.Client) -> None:
    place = begun(acme)
    first = acme.post(
        f"{place}/steps", json={"code": "state['n'] = len(context[0])\nprint(state['n'])"}
    ).json()
    assert (first["success"], first["stdout"].strip(), first["state"]["n"]) == (
        True,
        str(len(LEASE)),
        len(LEASE),
    )
    code = "text = context[0].slice(0, 40)\ntool.FINAL(text)"
    last = acme.post(f"{place}/steps", json={"code": code, "state": {"n": 2}}).json()
    assert last["final"]["is_final"] is True
    assert last["final"]["answer"] == LEASE[:40]
    assert last["state"]["n"] == 2
    assert last["span_log"][0]["end_char"] == 40
    found = acme.get(place).json()
    assert (found["status"], found["mode"], found["answer"]) == ("COMPLETED", "RUNTIME", LEASE[:40])
    assert found["citations"][0]["start_char"] == 0
    assert [step["turn_index"] for step in acme.get(f"{place}/steps").json()["steps"]] == [0, 1]


def test_what_the_code_does_wrong_is_a_result(acme: httpx2.Client) -> None:
    place = begun(acme)
    failed = acme.post(f"{place}/steps", json={"code": "print('before')\n1 / 0"})
    assert failed.status_code == 200
    body = failed.json()
    assert (body["success"], body["stdout"].strip(), body["error"]["line"]) == (False, "before", 2)
    wrong = acme.post(f"{place}/steps", json={"code": "1", "state": "text"})
    assert (wrong.status_code, code_of(wrong)) == (400, "STATE_INVALID_TYPE")


def test_the_context_of_steps_is_a_text_where_that_is_wanted(acme: httpx2.Client) -> None:
    code = {"code": "print(len(context), 'six months' in context)"}
    step = acme.post(f"{begun(acme, context_shape='text')}/steps", json=code).json()
    assert step["stdout"].split() == [str(len(LEASE)), "True"]


def test_queued_tools_are_resolved_when_asked(tmp_path: Path) -> None:
    model = ScriptedModel([], lambda request: f"echo {request.messages[-1].content}")
    with running(tmp_path, model) as server, server.client() as client:
        place = begun(client)
        queue = "tool.queue_llm('a', 'one', max_tokens=5)\ntool.YIELD('wait')"
        step = client.post(f"{place}/steps", json={"code": queue}).json()
        assert step["final"] == {"is_final": False, "answer": "wait"}
        assert [item["key"] for item in step["tool_requests"]["llm"]] == ["a"]
        done = client.post(f"{place}/tools/resolve", json={"tool_requests": step["tool_requests"]}).json()
        assert done["statuses"] == {"a": "resolved"}
        assert "echo" in done["tool_results"]["llm"]["a"]["text"]
        read = {"code": "print(state['_tool_results']['llm']['a']['text'])"}
        assert "one" in client.post(f"{place}/steps", json=read).json()["stdout"]
        again = {"code": "tool.queue_llm('b', 'two', max_tokens=5)", "options": {"resolve_tools": True}}
        assert client.post(f"{place}/steps", json=again).json()["statuses"]["b"] == "resolved"
        timings = client.get(f"{place}/steps").json()["steps"][-1]["timings"]
        assert set(timings) == {"root_call_ms", "sandbox_ms", "tool_resolve_ms"}


def test_of_two_steps_at_once_one_is_told_to_look_again(tmp_path: Path) -> None:
    model = ScriptedModel([], lambda _: "late", latency=2)
    with running(tmp_path, model) as server, server.client() as client, ThreadPoolExecutor(1) as pool:
        place = begun(client)
        slow = pool.submit(client.post, f"{place}/steps", json={"code": "llm_query('one')"})
        until(lambda: client.get(f"{place}/code").json()["entries"])
        quick = client.post(f"{place}/steps", json={"code": "1"})
        fenced = slow.result()
    assert quick.status_code == 200
    assert (fenced.status_code, code_of(fenced)) == (409, "FENCED")
    assert "Read it again" in fenced.json()["error"]["message"]
