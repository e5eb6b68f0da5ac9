"""The benchmark runs, and finds what it hid."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "benchmarks" / "search" / "bench.py"


def test_a_small_run_finds_every_hidden_paragraph() -> None:
    command = [sys.executable, str(BENCH), "--megabytes", "1", "--questions", "12", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    # so little text is mostly list of words: the index is larger than its share, and says so
    assert done.returncode in (0, 1), done.stderr
    result = json.loads(done.stdout)
    assert result["questions"] == 12
    assert set(result["recall_at_10"].values()) == {1.0}
    assert result["query_ms"]["p50"] > 0
