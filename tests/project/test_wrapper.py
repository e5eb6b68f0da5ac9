"""`./rlm`: one environment, made once, found from anywhere.

A copy of the wrapper runs with an empty lock and a stand-in for the program, so that making an environment
takes seconds; the interpreter, venv and pip are the real ones. CI also runs it with the real lock.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import json, os, sys
print(json.dumps({"arguments": sys.argv[1:], "prefix": sys.prefix, "command": os.environ.get("RLM_COMMAND"),
                  "home": os.environ.get("HOME"), "path": sys.path}))
"""


Called = tuple[int, str, str]
"""Exit code, output and messages."""


def checkout(folder: Path, root: Path) -> Path:
    """A copy of what the wrapper needs, with a program that says how it was called."""
    shutil.copytree(root / "scripts", folder / "scripts")
    shutil.copy2(root / "rlm", folder / "rlm")
    for name in ("requirements.lock", "requirements-dev.lock"):
        (folder / name).write_text("# nothing to install\n")
    program = folder / "src/rlm_rs/cli"
    program.mkdir(parents=True)
    (program / "__main__.py").write_text(PROGRAM)
    return folder


def start(command: str | Path, *arguments: str, **changes: str | None) -> subprocess.Popen[str]:
    """The wrapper, started. `changes` replace variables of the environment, or remove them."""
    environment = {name: value for name, value in os.environ.items() if name != "RLM_VENV"}
    for name, value in {"RLM_PYTHON": sys.executable, **changes}.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    return subprocess.Popen(
        [command, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd="/",
        start_new_session=True,
    )


def call(command: str | Path, *arguments: str, **changes: str | None) -> Called:
    """Exit code, output and messages of the wrapper."""
    process = start(command, *arguments, **changes)
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def two_at_once(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Called]]:
    """A checkout whose first two calls came at the same time, and what they gave."""
    folder = checkout(tmp_path_factory.mktemp("a place") / "with space", root)
    both = [start(folder / "rlm", "ask", "a b", "*", HOME=home) for home in (None, "")]
    results = []
    for process in both:
        out, err = process.communicate(timeout=100)
        results.append((process.returncode, out, err))
    return folder, results


@pytest.fixture(scope="module")
def ready(two_at_once: tuple[Path, list[Called]]) -> Path:
    """The wrapper of a checkout whose environment is made."""
    return two_at_once[0] / "rlm"


def test_two_first_calls_make_one_environment(two_at_once: tuple[Path, list[Called]]) -> None:
    folder, results = two_at_once
    assert [code for code, _, _ in results] == [0, 0], results
    assert all('"arguments": ["ask", "a b", "*"]' in out for _, out, _ in results)
    assert sum("preparing a private environment" in err for _, _, err in results) == 1
    assert f'"prefix": "{folder}/.venv"' in results[0][1]


def test_an_empty_home_counts_as_none(two_at_once: tuple[Path, list[Called]]) -> None:
    assert all('"home": null' in out for _, out, _ in two_at_once[1])


def test_once_made_it_says_nothing_and_starts_the_program_alone(ready: Path) -> None:
    code, out, err = call(ready, "--version", PYTHONPATH="/somewhere")
    assert (code, err) == (0, "")
    assert "/somewhere" not in out
    assert '"path": [""' not in out


def test_a_link_from_elsewhere_works_and_names_itself(ready: Path, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    first, second = tmp_path / "deep/rlm-link", tmp_path / "my rlm"
    first.symlink_to(ready)
    second.symlink_to("deep/rlm-link")
    code, out, err = call(second)
    assert (code, err) == (0, "")
    assert f'"command": "\'{second}\'"' in out


def test_it_starts_no_python_before_the_program(ready: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for name in ("python", "python3", "uv"):
        spy = tmp_path / name
        spy.write_text(f"#!/bin/sh\necho {name} >>'{log}'\nexit 1\n")
        spy.chmod(0o755)
    code, _, _ = call(ready, PATH=f"{tmp_path}:{os.environ['PATH']}", RLM_PYTHON=None)
    assert code == 0
    assert not log.exists()


def test_a_changed_lock_makes_it_again(ready: Path) -> None:
    (ready.parent / "requirements.lock").write_text("# nothing to install, still\n")
    left = ready.parent / ".venv/left-over"
    left.touch()
    code, _, err = call(ready)
    assert code == 0
    assert "preparing a private environment" in err
    assert not left.exists()


def test_what_was_interrupted_is_made_again(root: Path, tmp_path: Path) -> None:
    folder = checkout(tmp_path / "fresh", root)
    process = start(folder / "rlm")
    while not (folder / ".venv/bin").is_dir():
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=100)
    assert not (folder / ".venv/rlm-stamp").exists()
    code, out, err = call(folder / "rlm")
    assert code == 0, err
    assert f'"prefix": "{folder}/.venv"' in out


def test_a_folder_that_is_no_environment_is_left_alone(ready: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").touch()
    code, _, err = call(ready, RLM_VENV=str(tmp_path / "precious"))
    assert code == 1
    assert "is not a Python environment" in err
    assert (tmp_path / "precious/file").exists()


def test_a_place_that_cannot_be_written_is_said(ready: Path) -> None:
    code, _, err = call(ready, RLM_VENV="/proc/nowhere/venv")
    assert code == 1
    assert "Set RLM_VENV to a folder you may write." in err
    assert "Traceback" not in err


def test_without_python_it_says_what_it_needs(ready: Path, tmp_path: Path) -> None:
    for name in ("sh", "readlink", "cksum"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    code, _, err = call(ready, PATH=str(tmp_path), RLM_PYTHON=None, RLM_VENV=str(tmp_path / "venv"))
    assert code == 1
    assert err == "rlm: needs Python 3.11 or newer. Install one (or uv), or name it in RLM_PYTHON.\n"


def test_a_python_that_will_not_do_is_named(ready: Path, tmp_path: Path) -> None:
    code, _, err = call(ready, RLM_PYTHON="no-such-python", RLM_VENV=str(tmp_path / "venv"))
    assert code == 1
    assert "which no-such-python is not" in err
