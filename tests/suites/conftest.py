"""A small suite of every kind, and an RLM that the oracle plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlm_rs.suites.generating import KINDS, generate_suite
from rlm_rs.suites.suite import Case, read_suite


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suite")
    return generate_suite(folder, kinds=list(KINDS), lengths=[4_000, 60_000], cases=2, seed=3)


@pytest.fixture(scope="session")
def cases(suite: Path) -> tuple[Case, ...]:
    return read_suite(suite)
