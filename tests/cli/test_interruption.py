"""Signals, kills and resuming: nothing that was recorded is paid twice, and nothing is left running."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from invoking import Cli, Ended, Main, Serve, Server

pytestmark = pytest.mark.timeout(90)

QUESTION = "On what notice can the lease be ended?"
PROMPTS = [f"What does passage {number} say?" for number in range(6)]
QUEUED = ["Is it a lease?", "Is it a loan?"]
QUEUE = "```repl\nfor n, p in enumerate({!r}):\n    tool.queue_llm(str(n), p)\ntool.YIELD()\n```"
BATCH = "```repl\nreplies = llm_query_batched({!r})\nread = context[0][20:80]\n```"
FINISH = "```repl\nd = context[0]\nFINAL('Ninety days: ' + replies[0] + d.cite(20, 80))\n```"
SCRIPT: dict[str, Any] = {
    "rules": [
        {"model": "gpt-5-mini", "contains": "passage 0", "reply": "in writing "},
        {"model": "gpt-5-mini", "reply": "nothing", "latency": 0.15},
        {"model": "gpt-5", "turn": 0, "reply": QUEUE.format(QUEUED)},
        {"model": "gpt-5", "turn": 1, "reply": BATCH.format(PROMPTS)},
        {"model": "gpt-5", "turn": 2, "reply": FINISH},
    ]
}
SLOW = {"rules": [{"model": "gpt-5", "times": 1, "latency": 60, "reply": FINISH}, *SCRIPT["rules"]]}


def of_session(leader: int) -> list[str]:
    """Command lines of the processes in the session of that leader."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append((stat.parent / "cmdline").read_text().replace("\0", " "))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def nothing_left_of(leader: int) -> bool:
    until = time.monotonic() + 5
    while of_session(leader) and time.monotonic() < until:
        time.sleep(0.05)
    return not of_session(leader)


def read_until(process: subprocess.Popen[str], kind: str) -> None:
    """Wait for the first event of that type."""
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["type"] == kind:
            return
    raise AssertionError(f"the program ended before {kind}")


def wait_for_request(server: Server) -> None:
    until = time.monotonic() + 10
    while not server.requests("gpt-5"):
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly_and_the_printed_command_resumes(
    cli: Cli, run_main: Main, notes: Path, serve: Serve, number: signal.Signals
) -> None:
    server = serve(SLOW)
    data = cli.home / "its own"
    process = cli.start(
        "ask",
        "--jsonl",
        QUESTION,
        str(notes),
        "--data-dir",
        str(data),
        env=server.env,
        start_new_session=True,
    )
    read_until(process, "Started")
    wait_for_request(server)
    process.send_signal(number)
    _, told = process.communicate(timeout=10)
    assert process.returncode == 130
    assert nothing_left_of(process.pid)
    last = told.splitlines()[-1]
    program, _, arguments = last.partition("To go on: ")[2].partition(" resume ")
    assert program == "python -m rlm_rs"
    assert "--data-dir" in arguments
    resumed = run_main("resume", "--json", *shlex.split(arguments), env=server.env)
    assert json.loads(resumed.out)["answer"] == "Ninety days: in writing [1]"


def test_it_stops_while_it_waits_for_standard_input(cli: Cli) -> None:
    process = cli.start("ask", QUESTION, "-", stdin=subprocess.PIPE, start_new_session=True)
    assert process.stderr is not None
    process.stderr.readline()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 130
    assert process.stderr.read() == "rlm: interrupted; nothing was asked yet.\n"
    assert nothing_left_of(process.pid)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()


def test_a_second_signal_ends_it_at_once() -> None:
    code = (
        "import asyncio\nfrom rlm_rs.cli.running import run\n"
        "async def work():\n"
        "    print('working', flush=True)\n"
        "    try:\n        await asyncio.sleep(60)\n"
        "    finally:\n        print('cleaning up', flush=True)\n        await asyncio.sleep(60)\n"
        "run(work())"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "cleaning up\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130


@pytest.mark.parametrize("kind", ["Started", "RootReplied", "StepRan", "SubcallResolved", "Finished"])
def test_killed_after_an_event_it_resumes_to_the_same_answer(
    cli: Cli, run_main: Main, notes: Path, serve: Serve, kind: str
) -> None:
    server = serve(SCRIPT)
    process = cli.start("ask", "--jsonl", QUESTION, str(notes), env=server.env, start_new_session=True)
    read_until(process, kind)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
    assert nothing_left_of(process.pid)

    env = {**server.env, "RLM_DATA_DIR": str(cli.data)}
    before = events_of(run_main("show", "exec_", "--events", env=env))
    resumed = run_main("resume", "--json", before[0]["execution_id"], env=env)
    assert resumed.code == 0, resumed.err
    answer = json.loads(resumed.out)
    assert answer["answer"] == "Ninety days: in writing [1]"
    assert [(c["ref"]["start_char"], c["ref"]["end_char"], c["verified"]) for c in answer["citations"]] == [
        (20, 80, True)
    ]
    after = events_of(run_main("show", "exec_", "--events", env=env))
    assert after[: len(before)] == before
    assert_no_recorded_call_was_repeated(before, after, server)


def test_a_killed_execution_is_listed_and_shown_as_unfinished(
    cli: Cli, run_main: Main, notes: Path, serve: Serve
) -> None:
    server = serve(SLOW)
    process = cli.start("ask", "--jsonl", QUESTION, str(notes), env=server.env)
    read_until(process, "Started")
    process.kill()
    process.communicate(timeout=10)
    env = {"RLM_DATA_DIR": str(cli.data)}
    assert "RUNNING" in run_main("list", env=env).out
    assert "It has not finished. To go on: rlm resume exec_" in run_main("show", "exec_", env=env).out
    refused = run_main("resume", "exec_", env=env)
    assert refused.code == 2
    assert "gpt-5 needs a key" in refused.err


def events_of(shown: Ended) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shown.out.splitlines()]


def assert_no_recorded_call_was_repeated(
    before: list[dict[str, Any]], after: list[dict[str, Any]], server: Server
) -> None:
    replies = [event for event in after if event["type"] == "RootReplied"]
    in_flight = before[-1]["type"] in ("Started", "StepRan", "SubcallResolved")
    assert len(server.requests("gpt-5")) <= len(replies) + in_flight
    asked = [request["prompt_sha256"] for request in server.requests("gpt-5-mini")]
    recorded = {event["request"]["prompt"] for event in before if event["type"] == "SubcallResolved"}
    repeated = len(asked) - len(set(asked))
    assert len(set(asked)) == len(QUEUED) + len(PROMPTS)
    assert repeated <= len(set(asked)) - len(recorded)
    assert all(asked.count(sha) == 1 for sha in map(prompt_sha256, recorded))


def prompt_sha256(prompt: str) -> str:
    """As the server's log has it: one user message."""
    return hashlib.sha256(json.dumps([["user", prompt]]).encode()).hexdigest()
