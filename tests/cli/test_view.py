"""`rlm view` and `--html`: an execution as a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from invoking import Main

FULL = Path("/dev/full")


def test_an_answer_and_its_report_come_together(run_main: Main, notes: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    asked = run_main("ask", "-q", "Who is the tenant?", str(notes), "--html", str(target))
    assert asked.code == 0, asked.err
    assert target.read_text().startswith("<!doctype html>")
    listed = run_main("list", "--json")
    execution_id = listed.out.partition('"execution_id": "')[2].partition('"')[0]
    shown = run_main("view", execution_id[:12])
    kept = tmp_path / "data" / "reports" / f"{execution_id}.html"
    assert (shown.code, shown.out.strip()) == (0, kept.as_uri())
    printed = run_main("view", execution_id, "--html", "-")
    assert printed.out.strip() == kept.read_text().strip()
    # a server that is gone is not waited for
    (tmp_path / "data" / "serving.json").write_text('{"url": "http://127.0.0.1:9", "pid": 1}')
    (tmp_path / "data" / "local.key").write_text("rlm_key_gone")
    assert run_main("view", execution_id).out.strip() == kept.as_uri()


def test_what_cannot_be_written_or_found_is_one_line(run_main: Main, notes: Path, tmp_path: Path) -> None:
    for target in (tmp_path, tmp_path / "nowhere" / "report.html"):
        refused = run_main("ask", "Who is the tenant?", str(notes), "--html", str(target))
        assert refused.code == 2
    assert refused.err.endswith("report.html: name a file in a folder that is there.\n")
    assert run_main("list").err.startswith("Nothing was asked yet")
    missing = run_main("view", "exec_none")
    assert (missing.code, missing.err.count("\n")) == (1, 1)


@pytest.mark.skipif(not FULL.exists(), reason="there is no disk that is always full")
def test_an_answer_whose_report_cannot_be_written_is_given_all_the_same(run_main: Main, notes: Path) -> None:
    asked = run_main("ask", "--json", "Who is the tenant?", str(notes), "--html", str(FULL))
    execution_id = json.loads(asked.out)["execution_id"]
    assert asked.code == 1
    [complaint] = [line for line in asked.err.splitlines() if line.startswith("rlm: ")]
    assert complaint.startswith("rlm: Cannot write /dev/full: No space left on device. The answer is kept.")
    assert complaint.endswith(f" view {execution_id} --html FILE")
    viewed = run_main("view", execution_id, "--html", str(FULL))
    assert viewed.err == "rlm: Cannot write /dev/full: No space left on device.\n"
    assert viewed.code == 1
