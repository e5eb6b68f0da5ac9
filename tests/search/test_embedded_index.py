"""The embedded engine: the contract, and what is its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlm_rs.core.ports import Blobs
from rlm_rs.search.embedded import EmbeddedIndex
from rlm_rs.testing.search_contract import BUCKET, SearchIndexContract


class TestEmbeddedIndex(SearchIndexContract):
    @pytest.fixture
    def index(self, blobs: Blobs, tmp_path: Path) -> EmbeddedIndex:
        return EmbeddedIndex(blobs, BUCKET, tmp_path)
