"""Every view, light and dark, wide and narrow, by the rules of WCAG 2.2 AA as axe-core checks them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from api_server import Running, ended, session, start
from browsing import ROOT, sign_in
from playwright.sync_api import Page, expect

AXE = ROOT / "ui/node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CORPUS = ROOT / "examples/corpus/agreements"


@pytest.fixture(scope="module")
def places(offline: Running) -> dict[str, tuple[str, str]]:
    """Every view by name: its address, and what is there once it is whole."""
    with offline.client("axe") as client:
        paths = sorted(path for path in CORPUS.iterdir() if path.suffix in (".md", ".txt"))
        session_id = session(client, {path.name: path.read_text() for path in paths})
        execution_id = start(client, session_id, "Which agreements can be ended for convenience?")
        citation = ended(client, execution_id)["citations"][0]
        runtime = client.post(f"/v1/sessions/{session_id}/executions/runtime").json()["execution_id"]
        code = "state['n'] = 1\nprint(len(context))\ntool.queue_llm('a', 'one')\ntool.YIELD()"
        client.post(f"/v1/executions/{runtime}/steps", json={"code": code})
        client.post(f"/v1/executions/{runtime}/steps", json={"code": "1 / 0"})
        doc_id = client.get(f"/v1/sessions/{session_id}").json()["docs"][0]["doc_id"]
        again = f"/v1/executions/{execution_id}/evaluation/recompute"
        client.post(again, json={"reference_answers": ["The lease and the software agreement"]})
    names = ("tenant_id", "session_id", "doc_id", "doc_index", "start_char", "end_char", "checksum")
    of, cells = f"/executions/{execution_id}", f"/executions/{runtime}/runtime"
    panels = {"citations": ".check-valid", "calls": ".call-line", "tree": ".branch", "corpus": ".strip"}
    return {
        "ask": ("/", ".drop"),
        "sessions": ("/sessions", ".row-session a"),
        "session": (f"/sessions/{session_id}?doc={doc_id}", ".chunk"),
        "executions": ("/executions", ".row-execution a"),
        "execution": (of, "mark.picked"),
        **{tab: (f"{of}?tab={tab}", f"#tab-panel {shown}") for tab, shown in panels.items()},
        "spend": (f"{of}?tab=spend", "meter"),
        "evaluation": (f"{of}?tab=evaluation", ".scores"),
        "requests": (f"{cells}?side=requests", ".request"),
        "state": (cells, ".step-error"),
        "citation": ("/citations?" + "&".join(f"{n}={citation[n]}" for n in names), "mark.picked"),
        "no citation": ("/citations", ".empty"),
        "health": ("/debug", ".checks"),
        "asked": ("/debug?tab=requests", ".row-request"),
        "audit": ("/debug?tab=audit", ".row-audit"),
        "events": (f"/debug?execution={execution_id}", ".event"),
    }


@pytest.mark.skipif(not AXE.exists(), reason="axe-core comes with `npm ci` in ui/, which needs Node")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 420])
def test_no_view_breaks_a_rule(
    page: Page, offline: Running, places: dict[str, tuple[str, str]], scheme: Any, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(offline.url)
    found = {"sign-in": violations(page)}
    sign_in(page, offline.url, offline.key("axe"))
    for name, (place, shown) in places.items():
        page.goto(f"{offline.url}{place}")
        expect(page.locator(shown).first).to_be_visible()
        found[name] = violations(page)
    assert {name: rules for name, rules in found.items() if rules} == {}


def violations(page: Page) -> list[str]:
    """The rules that are broken, and by what."""
    page.locator("main").wait_for()
    page.evaluate(Path(AXE).read_text())
    run = "async (tags) => (await axe.run({runOnly: tags})).violations"
    broken: list[dict[str, Any]] = page.evaluate(run, RULES)
    return [f"{rule['id']}: {node['html'][:160]}" for rule in broken for node in rule["nodes"][:3]]


def test_keys_alone_suffice(page: Page, offline: Running, places: dict[str, tuple[str, str]]) -> None:
    sign_in(page, offline.url, offline.key("axe"), places["execution"][0])
    expect(page.locator("mark.picked").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator(".turn-picked")).to_have_count(1)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("tab", name="Turns").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Citations")).to_be_focused()


def test_a_theme_that_was_picked_is_kept(page: Page, offline: Running) -> None:
    sign_in(page, offline.url, offline.key("axe"))
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Theme: auto").click()
    page.get_by_role("button", name="Theme: light").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert page.evaluate(ground) == dark
