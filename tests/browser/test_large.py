"""Long runs and long texts: only what is looked at is there."""

from __future__ import annotations

import asyncio
import time

import pytest
from api_server import Running, session
from browsing import expect_picked, sign_in
from playwright.sync_api import Page, expect

from rlm_rs.core.execution import Execution, Models, RootReplied, Run, StepRan, SubcallResolved
from rlm_rs.core.records import ExecutionRecord, ExecutionStatus
from rlm_rs.sandbox.protocol import SpanEntry, StepResult, SubcallRequest, SubcallResult

TURNS = 500
CALLS = 10
DOM_LIMIT = 6_000
LINE = "The quick 🦊 brown fox jumps over the lazy dog, page after page after page.\n"


async def written(server: Running, session_id: str) -> str:
    """The journal of an execution of 500 turns and 5,000 sub-calls."""
    ports = server.wiring.ports
    execution = Execution(
        "exec_long", "acme", session_id, "A long one?", Models("r", "s"), created_at=time.time()
    )
    row = ExecutionRecord(
        "acme", session_id, "exec_long", ExecutionStatus.RUNNING, "A long one?", time.time()
    )
    await ports.catalog.put_execution(row)
    run: Run = await ports.log.start(execution)
    for turn in range(TURNS):
        code = f"answers = llm_query_batched(questions[{turn}])\nprint(answers)"
        run = await ports.log.append(
            run, RootReplied(turn=turn, text=f"```repl\n{code}\n```", code=code, model="r")
        )
        asked = tuple(
            SubcallRequest(f"{turn}.{n}", "llm", f"question {turn}.{n}", called=True) for n in range(CALLS)
        )
        run = await ports.log.append(run, StepRan(turn=turn, result=StepResult("suspended", requests=asked)))
        for one in asked:
            result = SubcallResult(one.key, one.digest(), "resolved", text="yes")
            run = await ports.log.append(
                run, SubcallResolved(turn=turn, request=one, result=result, seconds=0.1)
            )
        spans = (SpanEntry(0, turn * 100, turn * 100 + 60),)
        done = StepResult("finished", stdout="yes\n" * (turn % 7), spans=spans)
        run = await ports.log.append(run, StepRan(turn=turn, result=done))
        await asyncio.sleep(0)
    return execution.execution_id


@pytest.fixture(scope="module")
def long(offline: Running) -> str:
    with offline.client("acme") as client:
        session_id = session(client, {"text.txt": LINE * 1000})
    return str(asyncio.run_coroutine_threadsafe(written(offline, session_id), offline.loop).result(110))


def test_five_hundred_turns_and_five_thousand_calls_stay_few_elements(
    page: Page, offline: Running, long: str
) -> None:
    sign_in(page, offline.url, offline.key("acme"), f"/executions/{long}?turn=250")
    expect(page.get_by_role("tab", name="Turns 500")).to_be_visible()
    expect(page.locator("#turn-250")).to_be_in_viewport()
    assert page.evaluate("document.querySelectorAll('*').length") < DOM_LIMIT
    page.get_by_role("tab", name="Sub-calls 5,000").click()
    rows = page.get_by_role("list", name="Sub-calls").get_by_role("listitem")
    expect(rows.first).to_contain_text("question 0.0")
    assert page.evaluate("document.querySelectorAll('*').length") < DOM_LIMIT
    page.get_by_role("searchbox", name="Words in the key or prompt").fill("question 499.9")
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="question 499.9").click()
    expect(page.locator(".call-detail")).to_contain_text("yes")
    page.get_by_role("link", name="turn 500").click()
    expect(page.locator("#turn-499")).to_be_in_viewport()


def test_a_text_of_fifty_megabytes_is_read_by_ranges(page: Page, offline: Running) -> None:
    lines = 50_000_000 // len(LINE.encode())
    with offline.client("acme") as client:
        session_id = session(client, {"large.txt": LINE * lines})
        doc = client.get(f"/v1/sessions/{session_id}").json()["docs"][0]
    asked: list[int] = []
    page.on("response", lambda r: asked.append(len(r.body())) if r.url.endswith("/v1/spans/get") else None)
    sign_in(page, offline.url, offline.key("acme"), f"/sessions/{session_id}?doc={doc['doc_id']}")
    expect(page.locator(".chunk").first).to_contain_text("The quick 🦊 brown fox")
    page.get_by_role("textbox", name="Character").fill(str(len(LINE) * (lines // 2)))
    page.get_by_role("textbox", name="Character").press("Enter")
    middle = page.locator(f'[data-start="{len(LINE) * (lines // 2) - 1200}"]')
    expect(middle).to_be_visible()
    for _ in range(12):
        page.locator(".document-text").evaluate("e => e.scrollTop = e.scrollHeight")
        page.wait_for_timeout(60)
    assert page.locator(".chunk").count() <= 14
    assert sum(asked) < 1_000_000
    assert page.evaluate("document.querySelectorAll('*').length") < DOM_LIMIT
    start = len(LINE) * 1000 + 4
    with offline.client("acme") as client:
        body = {"session_id": session_id, "doc_id": doc["doc_id"], "start_char": start, "end_char": start + 7}
        ref = client.post("/v1/spans/get", json=body).json()["ref"]
    page.goto(f"{offline.url}/citations?" + "&".join(f"{name}={value}" for name, value in ref.items()))
    expect_picked(page, "quick 🦊")
