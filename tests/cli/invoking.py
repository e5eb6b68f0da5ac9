"""The command line as a process of its own, and the model server it talks to."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True)
class Ended:
    """How the program ended when it was run inside this process."""

    code: int
    out: str
    err: str


Main = Callable[..., Ended]
