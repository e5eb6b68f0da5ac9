"""The command line as a process of its own, with an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROGRAM = [sys.executable, "-m", "rlm_rs.cli"]


@dataclass(frozen=True)
class Cli:
    """Runs `rlm` with a home and a data directory of the test's own, and nothing else in its environment."""

    home: Path
    env: Mapping[str, str]

    @property
    def data(self) -> Path:
        return self.home / "data"

    def __call__(
        self, *args: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*PROGRAM, *args],
            input=stdin if stdin is not None else b"",
            capture_output=True,
            env={**self.env, **(env or {})},
            cwd=self.home,
            timeout=60,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    def start(self, *args: str, **options: Any) -> subprocess.Popen[str]:
        env = {**self.env, **options.pop("env", {})}
        pipes: dict[str, Any] = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "stdin": subprocess.DEVNULL,
        }
        return subprocess.Popen(
            [*PROGRAM, *args], env=env, cwd=self.home, text=True, bufsize=1, **{**pipes, **options}
        )


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return Cli(home, {**kept, "HOME": str(home), "RLM_DATA_DIR": str(home / "data")})


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Two small documents."""
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "lease.txt").write_text(
        "Lease of the mill.\n\nEither party may end this lease on ninety days written notice.\n"
        "The rent is due on the first day of each month.\n"
    )
    (folder / "loan.txt").write_text(
        "Loan of the press.\n\nThe lender may call the loan on thirty days notice if the borrower defaults.\n"
    )
    return folder


Serve = Callable[[Mapping[str, Any]], "Server"]


@dataclass(frozen=True)
class Server:
    """A model server in a process of its own, and what it was asked."""

    base_url: str
    log: Path

    @property
    def env(self) -> dict[str, str]:
        return {
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": self.base_url,
            "DEFAULT_ROOT_MODEL": "gpt-5",
            "DEFAULT_SUB_MODEL": "gpt-5-mini",
        }

    def requests(self, model: str) -> list[dict[str, Any]]:
        entries = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [entry for entry in entries if entry["event"] == "request" and entry["model"] == model]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a scripted OpenAI-compatible server."""
    processes: list[subprocess.Popen[str]] = []

    def start(script: Mapping[str, Any]) -> Server:
        path, log = tmp_path / f"script{len(processes)}.json", tmp_path / f"log{len(processes)}.jsonl"
        path.write_text(json.dumps(script))
        command = [
            sys.executable,
            "-m",
            "rlm_rs.testing.openai_server",
            "--script",
            str(path),
            "--log",
            str(log),
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        return Server(process.stdout.readline().strip(), log)

    yield start
    for process in processes:
        process.terminate()
        process.wait(10)
        if process.stdout:
            process.stdout.close()
