"""The commands with --server: what they print and return is what they print and return here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from api_server import LEASE, Running, running

from rlm_rs.cli import main
from rlm_rs.testing.models import ScriptedModel

PROGRAM = [sys.executable, "-m", "rlm_rs.cli"]
QUESTION = "How can the lease be ended?"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def lease(tmp_path: Path) -> str:
    (tmp_path / "lease.md").write_text(LEASE)
    return str(tmp_path / "lease.md")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RLM_DATA_DIR": str(tmp_path / "data")}


@pytest.fixture
def rlm(server: Running, environment: dict[str, str], tmp_path: Path) -> Run:
    key = server.key("acme")

    def run(*args: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        given = {**environment, "RLM_API_KEY": key, **more}
        return subprocess.run(
            [*PROGRAM, *args], input=stdin, capture_output=True, text=True, env=given, timeout=60, check=False
        )

    return run


def shape(text: str) -> list[str]:
    """Lines without the figures and ids that differ from one execution to the next."""
    return [line.split(" (")[0].rstrip("0123456789. s") for line in text.splitlines()]


def test_an_ask_of_a_server_reads_like_one_here(rlm: Run, server: Running, lease: str) -> None:
    here = rlm("ask", QUESTION, lease)
    there = rlm("--server", server.url, "ask", QUESTION, lease)
    assert (there.returncode, there.stdout) == (0, here.stdout)
    assert "six months" in here.stdout
    parsed, notice, *turns = there.stderr.splitlines()
    assert notice.startswith("The server has no model configured")
    assert shape("\n".join([parsed, *turns])) == shape("\n".join(here.stderr.splitlines()[1:]))


def test_what_was_asked_can_be_listed_shown_verified_followed_up_and_resumed(
    rlm: Run, server: Running, lease: str, tmp_path: Path
) -> None:
    there = {"RLM_BASE_URL": server.url}
    asked = rlm("ask", "--json", QUESTION, lease, **there)
    assert asked.returncode == 0, asked.stderr
    answer = json.loads(asked.stdout)
    execution_id = answer["execution_id"]
    listed = json.loads(rlm("list", "--json", "--limit", "1", **there).stdout)
    assert [row["execution_id"] for row in listed] == [execution_id]
    shown = rlm("show", execution_id[:18], **there)
    assert f"question  {QUESTION}" in shown.stdout
    assert answer["answer"] in shown.stdout
    checked = rlm("verify", "-", stdin=asked.stdout, **there)
    assert (checked.returncode, checked.stdout.splitlines()[-1]) == (0, "1 citation, all verified.")
    followed = rlm("ask", "--continue", execution_id, "--json", "And how long does it run?", **there)
    assert followed.returncode == 0, followed.stderr
    assert json.loads(followed.stdout)["session_id"] == answer["session_id"]
    events = [json.loads(line) for line in rlm("show", "--events", execution_id, **there).stdout.splitlines()]
    assert [event["type"] for event in events][:2] == ["Started", "RootReplied"]
    resumed = rlm("resume", "--json", execution_id, "--server", server.url)
    assert json.loads(resumed.stdout) == answer


def test_children_are_told_of_too(tmp_path: Path, environment: dict[str, str], lease: str) -> None:
    root = ["```repl\nFINAL(rlm_query('How?'))\n```", "```repl\nFINAL('by notice')\n```"]
    with running(tmp_path / "served", ScriptedModel(root)) as server:
        given = {**environment, "RLM_API_KEY": server.key("acme"), "RLM_BASE_URL": server.url}
        command = [*PROGRAM, "ask", "--jsonl", QUESTION, lease]
        done = subprocess.run(command, capture_output=True, text=True, env=given, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    *events, answer = [json.loads(line) for line in done.stdout.splitlines()]
    assert answer["answer"] == "by notice"
    owners = list(dict.fromkeys(event["execution_id"] for event in events))
    assert owners == [answer["execution_id"], f"{answer['execution_id']}-0.0"]
    assert "child   “How?” answered in 1 turn" in done.stderr


def test_an_interruption_leaves_the_execution_to_the_server_and_says_how_to_follow(
    tmp_path: Path, environment: dict[str, str], lease: str
) -> None:
    slow = ScriptedModel(["```repl\nFINAL('late')\n```"], latency=60)
    with running(tmp_path / "served", slow) as server:
        given = {**environment, "RLM_API_KEY": server.key("acme"), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            [*PROGRAM, "ask", "--jsonl", QUESTION, lease, "--server", server.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=given,
        )
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    command = f"resume {started['execution_id']} --server {server.url}"
    assert told.splitlines()[-1].startswith("rlm: interrupted; the server goes on. To follow it: ")
    assert told.rstrip().endswith(command)


Told = Callable[..., tuple[int, str]]


@pytest.fixture
def told(
    server: Running,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Told]:
    """`main` itself, in this process: its exit code and what it says on standard error."""
    for name, value in {**environment, "RLM_API_KEY": server.key("acme")}.items():
        monkeypatch.setenv(name, value)
    handler = signal.getsignal(signal.SIGTERM)

    def run(*args: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(args)
        assert isinstance(ended.value.code, int)
        return ended.value.code, capfd.readouterr().err

    yield run
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--server", "{url}", "serve"], 2, "serve works on this machine; leave --server out."),
        (["--server", "{url}", "list", "--data-dir", "x"], 2, "Give --server or --data-dir"),
        (["--server", "rlm.example.com", "list"], 2, "give a URL"),
        (["--server", "{url}", "show", "none"], 1, "There is no execution none here."),
        (["--server", "{url}", "ask", QUESTION], 2, "Name the files to ask about"),
        (["--server", "{url}", "ask", QUESTION, "none.md"], 2, "none.md: no such file"),
        (["--server", "{url}", "ask", "--dry-run", QUESTION, "{lease}"], 2, "--dry-run works"),
        (["--server", "{url}", "ask", "--max-turns", "0", QUESTION, "{lease}"], 2, "max_turns"),
    ],
)
def test_what_goes_wrong_is_one_line(
    told: Told, server: Running, lease: str, args: list[str], code: int, said: str
) -> None:
    ended, errors = told(*(arg.format(url=server.url, lease=lease) for arg in args))
    last = errors.splitlines()[-1]
    assert (ended, last[:5]) == (code, "rlm: "), errors
    assert said in last
    assert "Traceback" not in errors


def test_a_key_that_is_not_known_is_said_to_be_none(
    told: Told, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLM_API_KEY", "rlm_key_none")
    ended, errors = told("--server", server.url, "list")
    assert ended == 1
    assert errors.startswith("rlm: That key is not known here")
