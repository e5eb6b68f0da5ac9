"""The forty executions, recorded once, and their traces as the command exports them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_executions import Recorded, Rlm, record


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    found = record(tmp_path_factory.mktemp("recorded"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def rlm(recorded: Recorded) -> Rlm:
    """Runs the program over the recorded data."""
    environment = {**os.environ, "RLM_DATA_DIR": str(recorded.data_dir), "LLM_PROVIDER": "fake"}

    def run(*args: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rlm_rs", *map(str, args)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def exported(rlm: Rlm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The traces of all of them."""
    place = tmp_path_factory.mktemp("exported") / "traces.jsonl"
    done = rlm("finetune", "export", "--output", place)
    assert "40 traces written." in done.stderr
    return place
