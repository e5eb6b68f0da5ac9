"""Real Chromium against a real server: `make test-browser`."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

# the folder beside this one has the server
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "api"))

from api_server import Running
from browsing import chromium, rlm_serve

from rlm_rs.settings import Settings
from rlm_rs.wiring import wire

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. In a container there is no room for its own sandbox."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh profile. What goes wrong inside the page fails the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text) if _is_wrong(message) else None)
    yield opened
    context.close()
    assert wrong == []


def _is_wrong(message: ConsoleMessage) -> bool:
    # a refused request is what several of these tests are about
    return message.type == "error" and "Failed to load resource" not in message.text


@pytest.fixture(scope="session")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`rlm serve` whose models are the offline policy; keys are made over its data directory, from here."""
    data = tmp_path_factory.mktemp("data")
    loop = asyncio.new_event_loop()
    beside = threading.Thread(target=loop.run_forever, daemon=True)
    beside.start()
    with rlm_serve(data, {"LLM_PROVIDER": "fake"}) as link:
        wiring = wire(Settings(rlm_data_dir=data, llm_provider="fake"))
        found = Running(link.partition("/sign-in")[0], wiring, loop)
        yield found
    found.wait(wiring.close())
    loop.call_soon_threadsafe(loop.stop)
    beside.join()
    loop.close()


@pytest.fixture
def offline_url_and_key(offline: Running) -> tuple[str, str]:
    """Where it is, and a key of the tenant acme."""
    return offline.url, offline.key("acme")
