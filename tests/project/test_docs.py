"""Every block of code in the documentation runs, and every link leads somewhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from rlm_rs import RLM
from rlm_rs.testing.models import ScriptedModel

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w*)[ \t]*([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
NO_RUN = re.compile(r"no-run: \S.{5,}")
FIRST_COMMAND_WITHIN_WORDS = 120
SERVED, REPLY = "served", "reply"
"""What follows the language of a block for a running service, and of its reply: `…` is anything."""
DEFAULT_ADDRESS = "http://127.0.0.1:8080"
MARK, BETWEEN = "printf '\\0'\n", "\0"
START_SECONDS = 60


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, what follows that, its text."""

    page: str
    line: int
    language: str
    info: str
    text: str

    @property
    def id(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """All pages a reader is meant to read."""
    named = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")]
    return [*named, *sorted((ROOT / "docs").rglob("*.md"))]


def blocks() -> list[Block]:
    """All fenced blocks, in order."""
    found = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(str(page.relative_to(ROOT)), line, match[1], match[2].strip(), match[3]))
    return found


def to_run(language: str) -> list[Block]:
    alone = (block for block in blocks() if block.language == language and block.info != SERVED)
    return [block for block in alone if not block.info.startswith("no-run")]


def flow() -> list[tuple[Block, str | None]]:
    """The blocks that go through a running service, in order, each with the reply that is shown below it."""
    end = Block("", 0, "", "", "")
    return [
        (block, after.text if after.info == REPLY else None)
        for block, after in pairwise([*blocks(), end])
        if block.info == SERVED
    ]


def outputs() -> list[tuple[Block, Block]]:
    """Each shown output with the command above it."""
    pairs = zip(blocks(), blocks()[1:], strict=False)
    return [(command, shown) for command, shown in pairs if shown.info == "output"]


@pytest.fixture
def folder(tmp_path: Path, bare_environment: dict[str, str]) -> Path:
    """An empty place with what a checkout has at its root."""
    place = tmp_path / "checkout"
    place.mkdir()
    shutil.copytree(ROOT / "examples", place / "examples")
    wrapper = place / "rlm"
    wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -m rlm_rs.cli "$@"\n')
    wrapper.chmod(0o755)
    return place


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("block", to_run("sh"), ids=lambda block: block.id)
def test_shell_blocks_run(block: Block, folder: Path, bare_environment: dict[str, str]) -> None:
    run(["bash", "-euo", "pipefail", "-c", block.text], folder, bare_environment)


@pytest.mark.parametrize("block", to_run("python"), ids=lambda block: block.id)
def test_python_blocks_run(block: Block, folder: Path, bare_environment: dict[str, str]) -> None:
    (folder / "block.py").write_text(block.text)
    run([sys.executable, "-I", "block.py"], folder, bare_environment)


@pytest.mark.parametrize(("command", "shown"), outputs(), ids=lambda block: block.id)
def test_output_is_shown_as_it_is(
    command: Block, shown: Block, folder: Path, bare_environment: dict[str, str]
) -> None:
    printed = run(["bash", "-euo", "pipefail", "-c", command.text], folder, bare_environment)
    assert printed.strip() == shown.text.strip()


def test_the_steps_of_the_pages_run(folder: Path, tmp_path: Path) -> None:
    steps = to_run("repl")
    replies = [f"```repl\n{step.text}```" for step in steps]
    model = ScriptedModel(root=replies, sub="three years")
    with RLM(provider=model, data_dir=tmp_path / "data") as rlm:
        answer = rlm.ask("What is the term of the brokerage agreement?", folder / "examples/corpus")
    told = "\n".join(message.content for message in model.requests[-1].messages)
    assert answer.text == "three years [1]"
    assert [citation.note for citation in answer.citations] == ["the term"]
    assert (
        len([request for request in model.requests if request.model == model.root_model]) == len(steps) == 6
    )
    assert "Traceback" not in told
    assert "0 answered" not in told


@pytest.fixture
def address(folder: Path, bare_environment: dict[str, str]) -> Iterator[str]:
    """Where `rlm serve` answers meanwhile, over the data directory of this HOME."""
    with (folder / "serve.log").open("w") as log:
        server = subprocess.Popen(
            ["./rlm", "serve", "--port", "0"], cwd=folder, env=bare_environment, stdout=log, stderr=log
        )
    told = Path(bare_environment["HOME"]) / ".local/share/rlm/serving.json"
    ends = time.monotonic() + START_SECONDS
    try:
        while not told.exists() or not told.read_bytes():
            assert server.poll() is None, (folder / "serve.log").read_text()
            assert time.monotonic() < ends, "it did not start"
            time.sleep(0.05)
        yield str(json.loads(told.read_bytes())["url"])
    finally:
        server.terminate()
        server.wait(30)


def test_the_flow_through_a_running_service_gets_the_replies_shown(
    folder: Path, bare_environment: dict[str, str], address: str
) -> None:
    steps = flow()
    text = MARK.join(block.text for block, _ in steps).replace(DEFAULT_ADDRESS, address)
    printed = run(["bash", "-euo", "pipefail", "-c", text], folder, bare_environment).split(BETWEEN)
    assert len(printed) == len(steps)
    for (block, shown), reply in zip(steps, printed, strict=True):
        assert shown is None or is_like(shown, reply), f"{block.id}: {reply}"
    assert len([shown for _, shown in steps if shown]) > 10


def is_like(shown: str, printed: str) -> bool:
    """Whether it was printed, spaces aside, with something in the place of each `…`."""
    parts = "".join(shown.split()).split("…")
    return re.fullmatch(".*".join(map(re.escape, parts)), "".join(printed.split())) is not None


def test_the_readme_shows_the_output_of_its_first_command() -> None:
    assert [command.page for command, _ in outputs()][:1] == ["README.md"]


def test_blocks_that_are_not_run_say_why() -> None:
    silent = [
        block for block in blocks() if block.info.startswith("no-run") and not NO_RUN.fullmatch(block.info)
    ]
    assert silent == []


def test_the_first_command_comes_early() -> None:
    before = (ROOT / "README.md").read_text().partition("./rlm ask")[0]
    assert len(before.split()) < FIRST_COMMAND_WITHIN_WORDS


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    local = [link for link in LINK.findall(text) if "://" not in link]
    assert [link for link in local if not leads_somewhere(page, link)] == []


def leads_somewhere(page: Path, link: str) -> bool:
    """Whether the file is there, and has the heading."""
    name, _, heading = link.partition("#")
    target = page.parent / name if name else page
    return target.exists() and (not heading or heading in anchors(target))


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in headings}


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, left = set(), [ROOT / "README.md"]
    while left:
        page = left.pop().resolve()
        if page not in seen:
            seen.add(page)
            links = (link.partition("#")[0] for link in LINK.findall(page.read_text()) if "://" not in link)
            left += [page.parent / link for link in links if link.endswith(".md")]
    assert {page.resolve() for page in pages()} - seen == set()


def test_generated_parts_are_as_the_code_has_them() -> None:
    command = [sys.executable, "-I", str(ROOT / "scripts/make_docs.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_error_code_of_a_step_is_listed() -> None:
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs/errors.md").read_text(), re.MULTILINE))
    parts = (ROOT / "src/rlm_rs" / name for name in ("sandbox", "runners"))
    text = "\n".join(path.read_text() for part in parts for path in part.rglob("*.py"))
    used = set(re.findall(r'"((?:STEP|SANDBOX|STATE)_[A-Z_]+)"', text))
    assert used
    assert used - listed == set()
