"""Steps written by hand, as in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from api_server import LEASE, Running, running, session
from browsing import expect_picked, sign_in
from playwright.sync_api import Page, expect

from rlm_rs.testing.models import ScriptedModel

QUEUE = """found = context[0][0:40]
state['asked'] = 2
tool.queue_llm('a', 'one ' + found)
tool.queue_llm('b', 'two')"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    model = ScriptedModel([], lambda request: f"echo: {request.messages[-1].content}")
    with running(tmp_path, model) as found:
        yield found


def test_cells_run_resolve_and_outlive_a_reload(page: Page, server: Running) -> None:
    with server.client("acme") as client:
        session_id = session(client)
    sign_in(page, server.url, server.key("acme"), f"/sessions/{session_id}")
    page.get_by_role("button", name="Write steps yourself").click()
    page.get_by_role("button", name="Run all").click()
    expect(page.locator(".stdout")).to_have_text(f"0 lease.md {len(LEASE)}")

    page.get_by_role("button", name="Add a cell").click()
    page.get_by_label("Code").nth(1).fill(QUEUE)
    page.get_by_label("Code").nth(1).press("Control+Enter")
    page.get_by_role("link", name="queued 2 sub-calls").click()
    requests = page.get_by_role("tabpanel")
    expect(requests).to_contain_text("2 sub-calls wait")
    requests.get_by_role("button", name="Resolve", exact=True).first.click()
    expect(requests).to_contain_text("1 sub-call waits")
    requests.locator("p").get_by_role("button", name="Resolve", exact=True).first.click()
    expect(requests).to_contain_text("Nothing waits")
    requests.locator("summary").first.click()
    expect(requests).to_contain_text("a: {2}")

    page.get_by_role("button", name="Add a cell").click()
    third = "print(state['_tool_results']['llm']['b']['text'])\nx = [i for i in range(3)]\nx[9]"
    page.get_by_label("Code").nth(2).fill(third)
    page.get_by_label("Code").nth(2).press("Shift+Enter")
    expect(page.locator(".stdout").nth(1)).to_have_text("echo: two")
    expect(page.locator(".step-error")).to_contain_text("in line 3: IndexError")

    page.get_by_role("tab", name="State").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("asked: 2")
    page.get_by_role("tab", name="Passages").click()
    page.get_by_role("link", name="lease.md, 0–40").click()
    expect_picked(page, LEASE[:40])

    page.reload()
    expect(page.get_by_label("Code")).to_have_count(3)
    expect(page.get_by_label("Code").nth(1)).to_have_value(QUEUE)
    expect(page.locator(".stdout").nth(1)).to_have_text("echo: two")

    page.get_by_role("button", name="Reset").click()
    expect(page.locator(".stdout")).to_have_count(0)
    expect(page.get_by_label("Code")).to_have_count(3)
    page.get_by_label("Code").nth(0).fill("tool.FINAL(context[0].slice(0, 10))")
    page.get_by_label("Code").nth(0).press("Control+Enter")
    expect(page.locator(".pill").first).to_have_text("completed")
    expect(page.locator(".final")).to_contain_text(LEASE[:10])
    expect(page.get_by_role("button", name="Run all")).to_be_disabled()
