"""What others wrote is text, and what belongs to others is not found."""

from __future__ import annotations

from api_server import Running, ended, session, start
from browsing import HOSTILE, put_question, sign_in
from playwright.sync_api import Page, expect


def test_another_tenants_links_lead_nowhere(page: Page, offline: Running) -> None:
    with offline.client("globex") as client:
        session_id = session(client)
        execution_id = start(client, session_id)
        citation = ended(client, execution_id)["citations"][0]
    sign_in(page, offline.url, offline.key("acme"), f"/executions/{execution_id}")
    expect(page.get_by_text("This execution is not here")).to_be_visible()
    page.goto(f"{offline.url}/sessions/{session_id}")
    expect(page.get_by_text("This session is not here")).to_be_visible()
    page.goto(f"{offline.url}/executions/{execution_id}/runtime")
    expect(page.get_by_text("This execution is not here")).to_be_visible()
    names = ("tenant_id", "session_id", "doc_id", "doc_index", "start_char", "end_char", "checksum")
    page.goto(f"{offline.url}/citations?" + "&".join(f"{name}={citation[name]}" for name in names))
    expect(page.get_by_role("alert").first).to_contain_text("There is no session")
    expect(page.locator(".chunk")).to_have_count(0)


def test_a_document_of_markup_is_shown_as_text(page: Page, offline: Running) -> None:
    sign_in(page, offline.url, offline.key("acme"))
    name = "<img src=x onerror=alert(1)>.txt"
    put_question(page, {name: HOSTILE.encode()}, "What is the <script>hostile</script> sum?")
    expect(page.locator(".answer-text")).to_contain_text("13 pounds")
    expect(page.locator(".chunk")).to_contain_text("<script>window.hacked = 1</script><img src=x onerror=")
    expect(page.locator(".chunk")).to_contain_text("&amp; not bold")
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    assert page.evaluate("'hacked' in window") is False
    assert page.locator(".chunk img, .chunk b, .chunk script").count() == 0


def test_a_key_that_is_wrong_says_what_to_do(page: Page, offline: Running) -> None:
    page.goto(f"{offline.url}/executions")
    page.get_by_label("Key").fill("rlm_key_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("`rlm keys create` makes one")
    page.get_by_label("Key").fill(offline.key("acme"))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Executions")).to_be_visible()
    assert page.evaluate("document.cookie") == ""
    stored = page.evaluate("JSON.stringify(localStorage) + JSON.stringify(sessionStorage)")
    assert "rlm_key" not in stored
