"""The locks pin everything by hash, agree with pyproject.toml and with each other, and name no host."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-ci.lock")
ALONE = (*LOCKS, "requirements-emulator.lock")


def pinned(path: Path) -> dict[str, str]:
    """Name to version."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", path.read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in lines}


@pytest.mark.parametrize("name", ALONE)
def test_no_host_is_named(root: Path, name: str) -> None:
    text = (root / name).read_text()
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


@pytest.mark.parametrize("name", ALONE)
def test_every_pin_has_hashes(root: Path, name: str) -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", (root / name).read_text(), flags=re.MULTILINE)
    pins = [entry for entry in entries if "==" in entry.partition("\n")[0]]
    assert len(pins) > 10
    assert [entry for entry in pins if "--hash=sha256:" not in entry] == []


def test_dependencies_are_pinned_as_declared(root: Path) -> None:
    declared = tomllib.loads((root / "pyproject.toml").read_text())
    groups = declared["dependency-groups"]
    wanted = (declared["project"]["dependencies"], groups["dev"], groups["ci"])
    versions: dict[str, str] = {}
    for lock, requirements in zip(LOCKS, wanted, strict=True):
        versions |= pinned(root / lock)
        for requirement in map(Requirement, (entry for entry in requirements if isinstance(entry, str))):
            assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)])


@pytest.mark.parametrize(("before", "lock"), list(pairwise(LOCKS)))
def test_each_lock_adds_to_the_one_before(root: Path, before: str, lock: str) -> None:
    assert (root / lock).read_text().startswith(f"-r {before}\n")
    assert not pinned(root / before).keys() & pinned(root / lock).keys()
