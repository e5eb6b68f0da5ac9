"""Fixtures: the command line with a home of its own, small documents, a model server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from invoking import Cli, Ended, Main, Serve, Server

from rlm_rs.cli import main


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


@pytest.fixture
def run_main(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Main]:
    """`main` itself, up to its exit code: quicker than a process where no signal or pipe is involved."""
    for name in os.environ:
        if name.startswith(("OPENAI_", "AZURE_", "LLM_", "DEFAULT_", "RLM_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RLM_DATA_DIR", str(tmp_path / "data"))
    handler = signal.getsignal(signal.SIGTERM)

    def run(*args: str, env: Mapping[str, str] | None = None) -> Ended:
        for name, value in (env or {}).items():
            monkeypatch.setenv(name, value)
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(args)
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, *capfd.readouterr())

    yield run
    signal.signal(signal.SIGTERM, handler)
