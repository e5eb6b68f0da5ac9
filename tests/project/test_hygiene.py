"""What must never be committed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

LARGEST_BYTES = 200_000
# split, so that this file does not hold what it looks for
MACHINE_PATHS = re.compile("/" + "root/|/" + r"work/\w|/" + r"home/\w+/|/" + r"Users/\w+/")
UNSAID = re.compile("TO" + "DO|FIX" + "ME|XX" + "X")


def text_of(path: Path) -> str:
    """A file's text; nothing of a binary file."""
    content = path.read_bytes()
    return "" if b"\0" in content[:8192] else content.decode("utf-8", "replace")


def test_no_file_names_a_place_of_somebodys_machine(project_files: list[Path]) -> None:
    assert [path for path in project_files if MACHINE_PATHS.search(text_of(path))] == []


def test_no_file_leaves_work_unsaid(project_files: list[Path]) -> None:
    written = [path for path in project_files if path.suffix != ".lock"]
    assert [path for path in written if UNSAID.search(text_of(path))] == []


def test_no_file_is_large(project_files: list[Path]) -> None:
    sizes = {path.name: path.stat().st_size for path in project_files}
    assert {name: size for name, size in sizes.items() if size > LARGEST_BYTES} == {}


@pytest.mark.parametrize("script", ["rlm", ".ci/run", "scripts/bootstrap.sh"])
def test_scripts_name_their_interpreter_and_can_be_run(root: Path, script: str) -> None:
    path = root / script
    assert path.read_text().startswith(("#!/bin/sh\n", "#!/usr/bin/env bash\n"))
    assert path.stat().st_mode & 0o100
