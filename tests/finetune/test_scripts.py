"""The seed's scripts take the seed's flags and write the seed's rows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
from scripted_executions import Recorded

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def run(name: str, *args: object, data_dir: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RLM_DATA_DIR": str(data_dir), "LLM_PROVIDER": "fake"}
    command = [sys.executable, str(SCRIPTS / f"{name}.py"), *map(str, args)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done


def test_from_traces_to_rows_and_a_report(recorded: Recorded, tmp_path: Path) -> None:
    place = {"data_dir": recorded.data_dir, "cwd": tmp_path}
    export = ("--tenant-id", "local", "--status", "COMPLETED", "--limit", 20, "--rebuild-missing")
    run("export_finetune_traces", *export, "--output", "traces.jsonl", **place)
    weights = ("--turn-penalty", 0.1, "--subcall-penalty", 0, "--span-penalty", 0, "--scan-penalty", 0)
    wanted = ("--pref-output", "pref.jsonl", "--min-faithfulness", 0.5, "--min-relevancy", 0.5)
    run("build_finetune_datasets", "--input", "traces.jsonl", *wanted, *weights, **place)
    rows = [orjson.loads(line) for line in (tmp_path / "finetune_sft.jsonl").read_bytes().splitlines()]
    assert {frozenset(row) for row in rows} == {frozenset({"input", "output", "metadata"})}
    assert all("QUESTION" in row["input"] and "```" not in row["output"] for row in rows)
    assert {"reward", "metrics", "execution_id", "turn_index", "root_prompt_version"} <= rows[0][
        "metadata"
    ].keys()
    pairs = [orjson.loads(line) for line in (tmp_path / "pref.jsonl").read_bytes().splitlines()]
    assert all(isinstance(pair[side], str) for pair in pairs for side in ("prompt", "chosen", "rejected"))
    run("evaluate_finetuned_policy", "--input", "traces.jsonl", "--output", "report.json", **place)
    assert orjson.loads((tmp_path / "report.json").read_bytes())["executions"] == 20


def test_an_evaluation_is_made_again(recorded: Recorded, tmp_path: Path) -> None:
    # the offline policy is no judge; what it says is refused, and the scores it needs none for are there
    done = run(
        "recompute_evaluation",
        recorded.ids[1],
        *("--tenant-id", "local"),
        data_dir=recorded.data_dir,
        cwd=tmp_path,
    )
    assert orjson.loads(done.stdout)["reference_scores"]["answerer"]["contains"] == 1
