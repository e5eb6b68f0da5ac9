"""The attacks on the border, in every configuration, with the language layer off."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from rlm_rs.runners.probe import Check
from rlm_rs.sandbox.layers import LAYERS, Layers

from .attack import REACHED
from .configurations import CONFIGURATIONS
from .conftest import SECRET, Prize
from .drive import Outcome, Report, assault
from .kernel import KERNEL_ATTACKS, source

NOBODY = 65534
PACKAGES = Path(__file__).parents[1]
SOURCE = Path(__file__).parents[3] / "src"


def judge(report: Report) -> None:
    """Ordinary code ran, and every attack came to an end that is allowed."""
    assert all(report.controls)
    assert [check for check in report.checks if not check.held] == []
    assert [outcome for outcome in report.outcomes if not outcome.held] == []
    assert len(report.outcomes) == len(KERNEL_ATTACKS)
    assert SECRET not in str(report)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_no_attack_reaches_its_goal(
    configuration: str, prize: Prize, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", SECRET)
    leave_out = CONFIGURATIONS[configuration]
    report = asyncio.run(assault(replace(prize.scene, leave_out=leave_out)))
    judge(report)
    prize.check()
    if "landlock" in leave_out:
        assert report.layers.landlock == 0
    if "namespaces" in leave_out:
        assert report.layers.namespaces == ()


def interpreter_for_nobody() -> str | None:
    """A Python of this version that an ordinary user may run, with our packages."""
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        command = [python, "-c", "import rlm_rs.runners.process"]
        try:
            subprocess.run(
                command,
                check=True,
                env=environment(),
                user=NOBODY,
                group=NOBODY,
                cwd="/",
                capture_output=True,
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    return None


def environment() -> dict[str, str]:
    places = [str(PACKAGES), str(SOURCE), *(path for path in sys.path if path.endswith("site-packages"))]
    return {
        "PYTHONPATH": os.pathsep.join(places),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SECRET_OF_THE_HOST": SECRET,
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("leave_out", [(), tuple(LAYERS)], ids=["all layers", "seccomp only"])
def test_no_attack_reaches_its_goal_when_the_host_is_an_ordinary_user(
    prize: Prize, leave_out: tuple[str, ...]
) -> None:
    python = interpreter_for_nobody()
    if python is None:
        pytest.skip("no interpreter here that an ordinary user may run")
    scene = json.dumps(asdict(replace(prize.scene, leave_out=leave_out)))
    command = [python, "-m", "attacks.drive", scene]
    done = subprocess.run(
        command, env=environment(), user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    judge(report_from(json.loads(done.stdout)))
    prize.check()


def report_from(data: dict[str, Any]) -> Report:
    return Report(
        Layers.from_dict(data["layers"]),
        tuple(data["controls"]),
        tuple(Check(**check) for check in data["checks"]),
        tuple(Outcome(**{**each, "expected": tuple(each["expected"])}) for each in data["outcomes"]),
    )


UNLOCKED = """
import json, os, sys
results = {}
for name, code in json.load(sys.stdin):
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        names = {"reply": writable}
        try:
            exec(code, names)
            os.write(writable, str(names.get("outcome")).encode()[:2000])
        finally:
            os._exit(0)
    os.close(writable)
    results[name] = os.read(readable, 2000).decode("utf-8", "replace")
    os.close(readable)
    os.waitpid(pid, 0)
print(json.dumps(results))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="some of these attacks need root to succeed anywhere")
def test_the_harmless_attacks_do_reach_their_goal_without_a_sandbox(prize: Prize) -> None:
    """Otherwise that they fail inside would prove nothing."""
    attacks = [attack for attack in KERNEL_ATTACKS if attack.harmless]
    scene = prize.scene
    sources = [(attack.name, source(attack, scene.folder, scene.port, scene.victim)) for attack in attacks]
    done = subprocess.run(
        [sys.executable, "-c", UNLOCKED],
        input=json.dumps(sources),
        capture_output=True,
        text=True,
        check=True,
    )
    outcomes = json.loads(done.stdout)
    failed = {name: outcome for name, outcome in outcomes.items() if not outcome.startswith(REACHED)}
    assert not failed
    assert len(outcomes) >= 40
