"""A browser, what it looks at, and the services behind that."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from api_server import until
from playwright.sync_api import Page, expect

ROOT = Path(__file__).resolve().parents[2]
# an interpreter that has another RLM-RS, such as the built wheel; -I keeps the checkout off its path
SERVED = os.environ.get("RLM_BROWSER_PYTHON")
RLM = [SERVED, "-I", "-m", "rlm_rs"] if SERVED else [sys.executable, "-m", "rlm_rs"]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")

ASTRAL = (
    "𝔊𝔯𝔢𝔢𝔱𝔦𝔫𝔤𝔰 🦊🦊🦊 from the cold store.\n" * 60
    + "🚚 The carrier pays 4,711 pounds 💷 for each late delivery 🦊 without exception.\n"
    + "𝔈𝔫𝔡 🦊 of the page.\n" * 60
)
CLAUSE = "The carrier pays 4,711 pounds 💷 for each late delivery 🦊 without exception."
HOSTILE = (
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>\n"
    "<b>bold</b> &amp; not bold. The hostile sum is 13 pounds.\n"
)


def chromium() -> str:
    """Where Debian's Chromium is."""
    for name in CHROMIUM:
        if found := shutil.which(name):
            return found
    raise AssertionError("no Chromium: `apt-get install chromium`")


def sign_in(page: Page, url: str, key: str, path: str = "/") -> None:
    """Paste a key, then go somewhere."""
    page.goto(f"{url}/")
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Ask your documents")).to_be_visible()
    if path != "/":
        page.goto(f"{url}{path}")


def put_question(page: Page, files: Mapping[str, bytes], question: str) -> None:
    """Drop files, write a question, ask, and wait for the execution's page."""
    given = [{"name": name, "mimeType": "", "buffer": data} for name, data in files.items()]
    page.get_by_label("Files", exact=True).set_input_files(given)
    expect(page.get_by_text(f"{len(files)} of {len(files)} file")).to_be_visible()
    page.get_by_label("Question").fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".execution")).to_be_visible()


def picked_text(page: Page) -> str:
    """What is highlighted as the picked passage, put together."""
    return "".join(page.locator("mark.picked").all_text_contents())


def expect_picked(page: Page, text: str) -> None:
    """Wait until exactly these characters are highlighted as the picked passage, in view."""
    until(lambda: picked_text(page) == text)
    expect(page.locator("mark.picked").first).to_be_in_viewport()


@contextlib.contextmanager
def program(command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A program while it is needed."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


@contextlib.contextmanager
def model_server(folder: Path, script: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """A server that speaks OpenAI's protocol, and the environment that leads to it."""
    place = folder / "script.json"
    place.write_text(json.dumps(script))
    command = [sys.executable, "-m", "rlm_rs.testing.openai_server", "--script", str(place)]
    with program(command, {}) as process:
        assert process.stdout is not None
        yield {
            "OPENAI_BASE_URL": process.stdout.readline().strip(),
            "OPENAI_API_KEY": "sk-test",
            "DEFAULT_ROOT_MODEL": "gpt-5",
            "DEFAULT_SUB_MODEL": "gpt-5-mini",
        }


@contextlib.contextmanager
def rlm_serve(data_dir: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """`rlm serve` as a person starts it; the link it prints."""
    command = [*RLM, "serve", "--port", "0", "--data-dir", str(data_dir)]
    with program(command, environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"Web UI: (\S+)", line):
                yield found[1]
                return
        raise AssertionError("`rlm serve` printed no link")
