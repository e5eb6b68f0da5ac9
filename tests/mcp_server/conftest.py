"""A folder that may be read, beside one that may not."""

from __future__ import annotations

from pathlib import Path

import pytest
from mcp_calling import LEASE


@pytest.fixture
def leases(tmp_path: Path) -> Path:
    folder = tmp_path / "leases"
    folder.mkdir()
    (folder / "lease.md").write_text(LEASE)
    return folder
