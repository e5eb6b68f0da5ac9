"""What runs is shown as it is, whenever somebody looks: after a reload, a broken line, a cancellation."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_server import Running, running, session, start
from browsing import sign_in
from playwright.sync_api import Page, Route, expect

from rlm_rs.core.model import ModelReply, ModelRequest
from rlm_rs.testing.models import ScriptedModel

STEP = "```repl\nprint('turn', len(history))\n```"
ASKING = "```repl\nprint(llm_query('first'), llm_query('second'))\n```"
FINAL = "```repl\nFINAL('all of it was shown')\n```"


class GatedModel(ScriptedModel):
    """Replies only as often as the test has let it."""

    def __init__(self) -> None:
        super().__init__([STEP, ASKING, FINAL], "noted")
        self._gate = threading.Semaphore(1)

    def let(self, replies: int) -> None:
        """Let it reply so many times more."""
        self._gate.release(replies)

    async def complete(self, request: ModelRequest) -> ModelReply:
        await asyncio.to_thread(self._gate.acquire, timeout=60)
        return await super().complete(request)


@pytest.fixture
def model() -> GatedModel:
    return GatedModel()


@pytest.fixture
def server(tmp_path: Path, model: GatedModel) -> Iterator[Running]:
    with running(tmp_path, model) as found:
        yield found
        model.let(99)


@pytest.fixture
def watched(page: Page, server: Running) -> str:
    """An execution that has one turn and waits for its second, on the screen; its id."""
    with server.client("acme") as client:
        execution_id = start(client, session(client))
    sign_in(page, server.url, server.key("acme"), f"/executions/{execution_id}")
    expect(page.get_by_role("article")).to_have_count(1)
    return execution_id


def test_a_reload_at_any_moment_shows_the_same(page: Page, model: GatedModel, watched: str) -> None:
    page.reload()
    expect(page.get_by_role("article")).to_have_count(1)
    expect(page.get_by_text("Asking the root model…")).to_be_visible()
    expect(page.locator(".views .count")).to_have_text("1")
    model.let(1)
    expect(page.get_by_role("article")).to_have_count(2)
    expect(page.get_by_text("Waiting for 1 sub-call…")).to_be_visible()
    page.reload()
    expect(page.get_by_role("article")).to_have_count(2)
    expect(page.locator(".call-pending")).to_contain_text("first")
    model.let(1)
    expect(page.locator(".call-pending")).to_contain_text("second")
    page.reload()
    expect(page.locator(".call-resolved")).to_contain_text("first")
    model.let(99)
    expect(page.locator(".answer-text")).to_have_text("all of it was shown")
    expect(page.locator(".stdout").nth(1)).to_have_text("noted noted")
    expect(page.locator(".views .count")).to_have_count(0)
    page.reload()
    expect(page.locator(".answer-text")).to_have_text("all of it was shown")
    expect(page.get_by_role("tab", name="Turns 3")).to_be_visible()


def test_a_broken_line_is_taken_up_behind_the_last_event(page: Page, model: GatedModel, watched: str) -> None:
    asked: list[str | None] = []

    def first_answer_is_cut(route: Route) -> None:
        asked.append(route.request.headers.get("last-event-id"))
        if len(asked) > 1:
            route.continue_()
            return
        # three whole events, and a fourth that breaks off
        stream = route.fetch(headers={**route.request.headers, "accept": "application/json"}).json()
        frames = "".join(
            f"id: {event['seq']}\nevent: {event['type']}\ndata: {json.dumps(event['data'])}\n\n"
            for event in stream["events"]
        )
        route.fulfill(status=200, content_type="text/event-stream", body=f"{frames}id: 99\ndata: {{")

    page.route("**/v1/executions/*/events", first_answer_is_cut)
    page.reload()
    expect(page.get_by_role("article")).to_have_count(1)
    model.let(99)
    expect(page.locator(".answer-text")).to_have_text("all of it was shown")
    expect(page.get_by_role("tab", name="Turns 3")).to_be_visible()
    assert asked == [None, "2"]


def test_cancelling_stops_it_and_says_so(page: Page, server: Running, watched: str) -> None:
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".pill").first).to_have_text("cancelled")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    page.goto(f"{server.url}/executions")
    expect(page.locator(".row-execution .pill")).to_have_text("cancelled")
