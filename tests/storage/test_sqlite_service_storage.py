"""Work, keys, the audit log, idempotency keys and rates in SQLite keep the contracts, also shared."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from rlm_rs.core.ports import AuditLog, Idempotency, Keys, Rates, Work
from rlm_rs.core.records import WorkKind
from rlm_rs.storage.database import Database
from rlm_rs.storage.sqlite_keys import COLUMNS, SqliteAuditLog, SqliteKeys
from rlm_rs.storage.sqlite_limits import RATES_SCHEMA, SqliteIdempotency, SqliteRates
from rlm_rs.storage.sqlite_work import FAIREST, SqliteWork
from rlm_rs.testing.audit_contract import MINE, AuditContract, entry
from rlm_rs.testing.clocks import StoppedClock
from rlm_rs.testing.keys_contract import KeysContract, key
from rlm_rs.testing.limits_contract import NOW, SECOND, IdempotencyContract, RatesContract
from rlm_rs.testing.work_contract import WorkContract


class TestSqliteWork(WorkContract):
    @pytest.fixture
    def work(self, database: Database, clock: StoppedClock) -> Work:
        return SqliteWork(database, clock)

    async def test_connections_that_claim_at_once_never_get_the_same_item(self, tmp_path: Path) -> None:
        databases = [Database(tmp_path / "rlm.db") for _ in range(5)]
        works = [SqliteWork(database) for database in databases]
        for number in range(12):
            await works[0].add(WorkKind.EXECUTION, f"t{number % 2}", str(number))
        found = await asyncio.gather(
            *(works[n % 5].claim(WorkKind.EXECUTION, f"w{n}", 30) for n in range(20))
        )
        assert sorted(int(item.item_id) for item in found if item) == list(range(12))
        for database in databases:
            await database.close()

    async def test_work_outlives_the_connection(self, tmp_path: Path, clock: StoppedClock) -> None:
        first = Database(tmp_path / "rlm.db")
        await SqliteWork(first, clock).add(WorkKind.EXECUTION, "a", "e")
        await SqliteWork(first, clock).claim(WorkKind.EXECUTION, "killed", 30)
        await first.close()
        clock.advance(30)
        again = Database(tmp_path / "rlm.db")
        item = await SqliteWork(again, clock).claim(WorkKind.EXECUTION, "next", 30)
        assert item is not None
        assert item.attempts == 2
        await again.close()

    async def test_a_file_of_an_earlier_release_gets_the_later_columns(self, tmp_path: Path) -> None:
        path = tmp_path / "rlm.db"
        await SqliteWork(first := Database(path)).add(WorkKind.EXECUTION, "a", "waiting")
        await first.write(lambda db: db.execute("ALTER TABLE work DROP COLUMN request_id"))
        await first.close()
        work = SqliteWork(again := Database(path))
        await work.add(WorkKind.EXECUTION, "a", "added", "req_1")
        found = [await work.claim(WorkKind.EXECUTION, "w", 30) for _ in range(2)]
        assert [item and item.request_id for item in found] == ["", "req_1"]
        await again.close()

    async def test_a_claim_from_a_long_queue_stays_quick(self, database: Database) -> None:
        work = SqliteWork(database)
        rows = [("execution", f"t{n % 50}", str(n)) for n in range(50_000)]
        insert = "INSERT INTO work (kind, tenant_id, item_id) VALUES (?, ?, ?)"
        await database.write(lambda db: db.executemany(insert, rows))
        started = time.perf_counter()
        for _ in range(20):
            assert await work.claim(WorkKind.EXECUTION, "w", 30)
        assert time.perf_counter() - started < 1

    async def test_no_claim_scans_the_table(self, database: Database) -> None:
        def explain(db: apsw.Connection) -> list[str]:
            bindings = {"kind": "execution", "now": 0.0, "passed": "[]"}
            return [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {FAIREST}", bindings)]

        plan = await database.write(explain)
        assert [line for line in plan if line.startswith("SCAN work")] == []
        assert [line for line in plan if line.startswith("SEARCH work")]


class TestSqliteKeys(KeysContract):
    @pytest.fixture
    def keys(self, database: Database) -> Keys:
        return SqliteKeys(database)

    async def test_keys_outlive_the_connection(self, tmp_path: Path) -> None:
        first = Database(tmp_path / "rlm.db")
        await SqliteKeys(first).put_key(key(1))
        await first.close()
        again = Database(tmp_path / "rlm.db")
        assert await SqliteKeys(again).find_key("hash1") == key(1)
        await again.close()


class TestSqliteAuditLog(AuditContract):
    @pytest.fixture
    def audit(self, database: Database) -> AuditLog:
        return SqliteAuditLog(database)

    async def test_entries_outlive_the_connection(self, tmp_path: Path) -> None:
        first = Database(tmp_path / "rlm.db")
        await SqliteAuditLog(first).write(entry(1))
        await first.close()
        again = Database(tmp_path / "rlm.db")
        assert await SqliteAuditLog(again).list_entries(MINE) == ([entry(1)], None)
        await again.close()


class TestSqliteIdempotency(IdempotencyContract):
    @pytest.fixture
    def idempotency(self, database: Database, clock: StoppedClock) -> Idempotency:
        return SqliteIdempotency(database, clock)

    async def test_an_answer_outlives_the_connection(self, tmp_path: Path) -> None:
        first = Database(tmp_path / "rlm.db")
        await SqliteIdempotency(first).begin("a", "k", "digest", 60)
        await SqliteIdempotency(first).finish("a", "k", "digest", b"made")
        await first.close()
        again = Database(tmp_path / "rlm.db")
        assert await SqliteIdempotency(again).begin("a", "k", "digest", 60) == b"made"
        await again.close()


class TestSqliteRates(RatesContract):
    @pytest.fixture
    async def rates(self, tmp_path: Path) -> AsyncIterator[Rates]:
        database = Database(tmp_path / "rates.db", RATES_SCHEMA, durable=False)
        yield SqliteRates(database)
        await database.close()

    async def test_processes_share_a_rate(self, tmp_path: Path) -> None:
        databases = [Database(tmp_path / "rates.db", RATES_SCHEMA, durable=False) for _ in range(4)]
        taken = await asyncio.gather(
            *(SqliteRates(databases[n % 4]).take("a", NOW, SECOND, 5 * SECOND) for n in range(20))
        )
        assert sum(ahead <= 5 * SECOND for ahead in taken) == 5
        for database in databases:
            await database.close()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT at, entry_id, record FROM audit_log WHERE tenant_id = 'a' AND (at, entry_id) < (1, 'b') "
        "ORDER BY at DESC, entry_id DESC LIMIT 3",
        f"SELECT {COLUMNS} FROM api_keys WHERE key_hash = 'h'",
        f"SELECT {COLUMNS} FROM api_keys WHERE tenant_id = 'a' ORDER BY created_at, key_id",
        "SELECT count(*) FROM work INDEXED BY work_free WHERE kind = 'k' AND lease_until <= 1",
    ],
)
async def test_no_lookup_scans_or_sorts(database: Database, query: str) -> None:
    plan = " ".join(str(row[3]) for row in await database.read(f"EXPLAIN QUERY PLAN {query}"))
    assert "SEARCH" in plan
    assert "SCAN" not in plan
    assert "TEMP B-TREE" not in plan
