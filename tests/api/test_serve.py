"""`rlm serve` as a program: its first key, its signals, and the smoke test that runs against it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from api_server import ended, session

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def served(data_dir: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The process, its URL, and what it said of its key."""
    command = [sys.executable, "-m", "rlm_rs", "serve", "--port", "0", "--data-dir", str(data_dir)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LLM_PROVIDER": "fake", **environment},
    )
    try:
        assert process.stdout is not None
        place, key = process.stdout.readline(), process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", place)
        assert found, place or process.communicate()[1]
        yield process, found[0], key
    finally:
        process.kill()
        process.communicate()


def test_the_first_start_makes_a_key_and_a_signal_ends_it_gracefully(tmp_path: Path) -> None:
    with served(tmp_path) as (process, url, told):
        key = re.search(r"rlm_key_[\w-]+", told)
        assert key, told
        headers = {"Authorization": f"Bearer {key[0]}"}
        assert httpx2.get(f"{url}/v1/sessions", headers=headers, timeout=30).status_code == 200
        process.send_signal(signal.SIGTERM)
        _, logs = process.communicate(timeout=30)
        assert process.returncode == 0, logs
        assert key[0] not in logs
    kept = tmp_path / "local.key"
    assert (kept.read_text().strip(), kept.stat().st_mode & 0o777) == (key[0], 0o600)
    with served(tmp_path) as (_, url, told):
        assert key[0] not in told
        assert httpx2.get(f"{url}/v1/sessions", headers=headers, timeout=30).status_code == 200


def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with served(tmp_path / "one") as (_, url, _):
        port = url.rpartition(":")[2]
        command = [
            sys.executable,
            "-m",
            "rlm_rs",
            "serve",
            "--port",
            port,
            "--data-dir",
            str(tmp_path / "two"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith(f"rlm: Cannot listen on 127.0.0.1:{port}")
        assert done.stderr.count("\n") == 1


def test_the_smoke_test_passes_against_it(tmp_path: Path) -> None:
    with served(tmp_path) as (_, url, told):
        key = re.search(r"rlm_key_[\w-]+", told)
        assert key
        environment = {**os.environ, "RLM_BASE_URL": url, "RLM_API_KEY": key[0]}
        script = [str(ROOT / "scripts/smoke_test.sh")]
        done = subprocess.run(
            script, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "smoke test passed" in done.stdout


def test_what_workers_log_names_the_request_that_asked(tmp_path: Path) -> None:
    with served(tmp_path) as (process, url, told):
        key = re.search(r"rlm_key_[\w-]+", told)
        assert key
        headers = {"Authorization": f"Bearer {key[0]}"}
        with httpx2.Client(base_url=url, headers=headers, timeout=30) as client:
            made = session(client)
            begun = client.post(
                f"/v1/sessions/{made}/executions",
                json={"question": "How can it be ended?"},
                headers={"X-Request-ID": "named-by-me"},
            )
            asked = ended(client, begun.json()["execution_id"])
            trace = client.get(f"/v1/executions/{asked['execution_id']}/trace").text
        process.send_signal(signal.SIGTERM)
        _, logs = process.communicate(timeout=30)
    lines = [json.loads(line) for line in logs.splitlines()]
    by_workers = [line for line in lines if line["event"] == "recorded" and line["type"] != "Started"]
    assert {line["type"] for line in by_workers} >= {"RootReplied", "StepRan", "Finished"}
    assert {line["request_id"] for line in by_workers} == {"named-by-me"}
    # that of the request is for the log alone
    assert "named-by-me" not in trace
    assert "named-by-me" not in json.dumps(asked)


@pytest.mark.parametrize("target", ["rlm_rs.api.app:app"])
def test_the_application_starts_under_uvicorn(tmp_path: Path, target: str) -> None:
    command = [sys.executable, "-m", "uvicorn", target, "--port", "0"]
    environment = {**os.environ, "RLM_DATA_DIR": str(tmp_path), "LLM_PROVIDER": "fake"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stderr is not None
        lines = map(json.loads, iter(process.stderr.readline, ""))
        told = (re.search(r"http://127\.0\.0\.1:\d+", line["event"]) for line in lines)
        url = next(found[0] for found in told if found)
        assert httpx2.get(f"{url}/health/ready", timeout=30).json()["status"] == "ok"
    finally:
        process.terminate()
        _, rest = process.communicate(timeout=30)
    assert [json.loads(line)["event"] for line in rest.splitlines()]
