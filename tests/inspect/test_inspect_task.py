"""A suite as a task of Inspect, run by Inspect.

It has an environment of its own (`make test-inspect`): its pins and those of the AWS extra exclude each
other.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rlm_rs
from rlm_rs.suites.generating import generate_suite

pytest.importorskip("inspect_ai")

ENTRY_POINT = """\
[inspect_ai]
rlm_rs = rlm_rs.suites.inspect_task
"""


def installed(folder: Path) -> Path:
    """A place that looks like an installed wheel: Inspect knows packages by that."""
    info = folder / "rlm_rs-0.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text(ENTRY_POINT)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rlm-rs\nVersion: 0\n")
    (folder / "rlm_rs").symlink_to(Path(rlm_rs.__file__).parent)
    return folder


@pytest.mark.timeout(120)
def test_inspect_runs_a_suite(tmp_path: Path) -> None:
    suite = generate_suite(tmp_path / "suite", kinds=["needle", "multihop"], lengths=[5_000], cases=2)
    command = [str(Path(sys.executable).parent / "inspect"), "eval", "rlm_rs/rlm_suite", "--model", "none"]
    options = [f"suite={suite}", f"data_dir={tmp_path / 'data'}", "oracle=true"]
    path = os.pathsep.join([str(installed(tmp_path / "site-packages")), *sys.path])
    done = subprocess.run(
        [*command, *(word for option in options for word in ("-T", option)), "--display", "plain"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "answer" in done.stdout
    log = next((tmp_path / "logs").glob("*.eval"))
    from inspect_ai.log import read_eval_log

    scores = read_eval_log(str(log)).results
    assert scores is not None
    means = {score.name: score.metrics["mean"].value for score in scores.scores}
    assert means == {"answer": 1.0, "citation_recall": 1.0, "citation_precision": 1.0}
