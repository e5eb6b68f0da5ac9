"""The locks pin everything by hash, agree with pyproject.toml and with each other, and name no host."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = ("requirements.lock", "requirements-dev.lock")


def pinned(path: Path) -> dict[str, str]:
    """Name to version."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", path.read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in lines}


@pytest.mark.parametrize("name", LOCKS)
def test_no_host_is_named(root: Path, name: str) -> None:
    text = (root / name).read_text()
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_hashes(root: Path, name: str) -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", (root / name).read_text(), flags=re.MULTILINE)
    pins = [entry for entry in entries if "==" in entry.partition("\n")[0]]
    assert len(pins) > 10
    assert [entry for entry in pins if "--hash=sha256:" not in entry] == []


def test_dependencies_are_pinned_as_declared(root: Path) -> None:
    declared = tomllib.loads((root / "pyproject.toml").read_text())
    groups = {LOCKS[0]: declared["project"]["dependencies"], LOCKS[1]: declared["dependency-groups"]["dev"]}
    for lock, wanted in groups.items():
        versions = pinned(root / lock)
        for requirement in map(Requirement, wanted):
            assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)])


def test_the_dev_lock_holds_all_of_the_other(root: Path) -> None:
    run, dev = (pinned(root / name) for name in LOCKS)
    assert run.items() <= dev.items()
