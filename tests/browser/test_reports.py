"""A report is a file: it shows the same without a server and without a network."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from browsing import RLM, ROOT, expect_picked, rlm_serve
from playwright.sync_api import Page, expect

CORPUS = ROOT / "examples/corpus/agreements"


def rlm(data_dir: Path, *arguments: str) -> str:
    command = [*RLM, *arguments, "--data-dir", str(data_dir)]
    environment = {**os.environ, "LLM_PROVIDER": "fake"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_a_report_shows_answer_sources_and_turns_offline(page: Page, tmp_path: Path) -> None:
    target = tmp_path / "answer.html"
    question = "Which agreements can be ended for convenience, and on what notice?"
    rlm(tmp_path / "data", "ask", question, str(CORPUS), "--html", str(target))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.context.set_offline(True)
    page.goto(target.as_uri())
    expect(page.get_by_role("heading", name=question)).to_be_visible()
    expect(page.get_by_role("link", name="citations verified")).to_be_visible()
    expect(page.locator("mark.picked").first).to_be_visible()
    page.get_by_role("link", name="Citation 2").click()
    expect_picked(
        page,
        "The Customer may terminate this agreement for convenience at any time by giving sixty days' written "
        "notice to the Contractor.",
    )
    page.get_by_role("tab", name="Sub-calls").click()
    page.get_by_role("tab", name="Tree").click()
    page.get_by_role("link", name="Turn 2").click()
    expect(page.locator("#turn-1")).to_be_in_viewport()
    expect(page.get_by_label("Follow-up question")).to_have_count(0)
    assert asked == [target.as_uri()]


def test_view_writes_the_same_where_no_server_runs(page: Page, tmp_path: Path) -> None:
    rlm(tmp_path, "ask", "On what notice does the lease end?", str(CORPUS / "cold_store_lease.md"))
    execution_id = rlm(tmp_path, "list", "--json").partition('"execution_id": "')[2].partition('"')[0]
    address = rlm(tmp_path, "view", execution_id[:12]).strip()
    assert address == (tmp_path / "reports" / f"{execution_id}.html").as_uri()
    page.goto(address)
    expect(page.locator("mark.picked").first).to_be_visible()
    assert rlm(tmp_path, "view", execution_id, "--html", "-").startswith("<!doctype html>")


def test_view_leads_into_the_page_of_a_running_server(page: Page, tmp_path: Path) -> None:
    rlm(tmp_path, "ask", "On what notice does the lease end?", str(CORPUS / "cold_store_lease.md"))
    execution_id = rlm(tmp_path, "list", "--json").partition('"execution_id": "')[2].partition('"')[0]
    with rlm_serve(tmp_path, {"LLM_PROVIDER": "fake"}) as link:
        page.goto(link)
        page.get_by_role("button", name="Sign out").click()
        page.goto(rlm(tmp_path, "view", execution_id).strip())
        expect(page.locator("mark.picked").first).to_be_visible()
        assert page.url.endswith(f"/executions/{execution_id}")
    assert rlm(tmp_path, "view", execution_id).startswith("file:")
