"""The wheel holds everything that the package needs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def names_in_wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The files of a freshly built wheel."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_file_of_the_package_is_in_it(
    names_in_wheel: set[str], project_files: list[Path], root: Path
) -> None:
    source = root / "src"
    wanted = {path.relative_to(source).as_posix() for path in project_files if path.is_relative_to(source)}
    assert wanted - names_in_wheel == set()
    assert "rlm_rs/py.typed" in names_in_wheel


def test_nothing_else_is_in_it(names_in_wheel: set[str]) -> None:
    folders = {name.partition("/")[0] for name in names_in_wheel}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {"rlm_rs"}
