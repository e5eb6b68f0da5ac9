"""Evaluations in memory and in SQLite keep the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlm_rs.core.ports import Evaluations
from rlm_rs.storage.database import Database
from rlm_rs.storage.memory_evaluations import MemoryEvaluations
from rlm_rs.storage.sqlite_evaluations import SqliteEvaluations
from rlm_rs.testing.evaluations_contract import MINE, EvaluationsContract, whole


class TestMemoryEvaluations(EvaluationsContract):
    @pytest.fixture
    def evaluations(self) -> Evaluations:
        return MemoryEvaluations()


class TestSqliteEvaluations(EvaluationsContract):
    @pytest.fixture
    def evaluations(self, database: Database) -> Evaluations:
        return SqliteEvaluations(database)

    async def test_evaluations_outlive_the_connection(self, tmp_path: Path) -> None:
        first = Database(tmp_path / "rlm.db")
        await SqliteEvaluations(first).put_evaluation(whole())
        await first.close()
        again = Database(tmp_path / "rlm.db")
        assert await SqliteEvaluations(again).get_evaluation(MINE, "exec_1") == whole()
        await again.close()
