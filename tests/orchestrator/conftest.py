"""Stages for the loop's tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from stage import Stage, make_stage

MakeStage = Callable[..., Awaitable[Stage]]


@pytest.fixture
def staged(tmp_path: Path) -> MakeStage:
    """Makes a stage: `await staged(root, sub, texts, …)`."""
    return partial(make_stage, tmp_path / "images")
