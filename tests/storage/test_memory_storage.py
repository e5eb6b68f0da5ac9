"""The in-memory adapters keep the contracts."""

from __future__ import annotations

import pytest

from rlm_rs.core.ports import Blobs, Catalog, Journal
from rlm_rs.storage.blobs import MemoryBlobs
from rlm_rs.storage.memory import MemoryCatalog, MemoryJournal
from rlm_rs.testing.blobs_contract import BlobsContract
from rlm_rs.testing.catalog_contract import CatalogContract
from rlm_rs.testing.journal_contract import JournalContract


class TestMemoryJournal(JournalContract):
    @pytest.fixture
    def journal(self) -> Journal:
        return MemoryJournal()


class TestMemoryCatalog(CatalogContract):
    @pytest.fixture
    def catalog(self) -> Catalog:
        return MemoryCatalog()


class TestMemoryBlobs(BlobsContract):
    @pytest.fixture
    def blobs(self) -> Blobs:
        return MemoryBlobs()
