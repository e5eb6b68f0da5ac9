"""Programs of the service as real processes over one data directory, with a model server in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import Start, Started


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(*arguments, env=…, pass_fds=…)`: a Python program that is ended with the test."""
    processes: list[Started] = []
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}

    def begin(*args: str, env: dict[str, str] | None = None, pass_fds: tuple[int, ...] = ()) -> Started:
        process = subprocess.Popen(
            [sys.executable, "-m", *args],
            env={**kept, "HOME": str(tmp_path), **(env or {})},
            pass_fds=pass_fds,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        if process.stderr:
            process.stderr.close()
