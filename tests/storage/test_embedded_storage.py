"""The embedded adapters keep the contracts, and what they keep outlives the process."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from rlm_rs.core.errors import Fenced, SettingInvalid
from rlm_rs.core.ports import Blobs, Catalog, Journal
from rlm_rs.core.records import ExecutionStatus, SessionStatus
from rlm_rs.storage.blobs import DirectoryBlobs
from rlm_rs.storage.database import Database
from rlm_rs.storage.sqlite import SqliteCatalog, SqliteJournal, executions_query, sessions_query
from rlm_rs.testing.blobs_contract import CONTENT, URI, BlobsContract
from rlm_rs.testing.catalog_contract import MINE, CatalogContract, document, execution, session
from rlm_rs.testing.journal_contract import JournalContract


class TestSqliteJournal(JournalContract):
    @pytest.fixture
    def journal(self, database: Database) -> Journal:
        return SqliteJournal(database)

    async def test_records_outlive_the_connection(self, tmp_path: Path) -> None:
        first = Database(tmp_path / "rlm.db")
        await SqliteJournal(first).append("e", 0, b"kept")
        await first.close()
        again = Database(tmp_path / "rlm.db")
        assert list(await SqliteJournal(again).read("e")) == [b"kept"]
        with pytest.raises(Fenced):
            await SqliteJournal(again).append("e", 0, b"other")
        await again.close()

    async def test_what_is_deleted_is_not_left_in_the_file(self, tmp_path: Path) -> None:
        database = Database(tmp_path / "rlm.db")
        journal = SqliteJournal(database)
        await journal.append("e", 0, b"a secret of some length")
        await journal.append("other", 0, b"kept")
        await journal.delete("e")
        await database.close()
        data = (tmp_path / "rlm.db").read_bytes()
        assert b"kept" in data
        assert b"secret" not in data

    async def test_two_connections_fence_each_other(self, tmp_path: Path) -> None:
        databases = [Database(tmp_path / "rlm.db") for _ in range(4)]
        journals = [SqliteJournal(database) for database in databases]
        for seq in range(10):
            outcomes = await asyncio.gather(
                *(journal.append("e", seq, bytes([number])) for number, journal in enumerate(journals)),
                return_exceptions=True,
            )
            assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Fenced"] * 3 + ["NoneType"]
        assert len(await journals[0].read("e")) == 10
        for database in databases:
            await database.close()

    async def test_a_committed_record_survives_a_killed_process(self, tmp_path: Path) -> None:
        code = f"""
import asyncio, os
from pathlib import Path
from rlm_rs.storage.database import Database
from rlm_rs.storage.sqlite import SqliteJournal
async def main():
    journal = SqliteJournal(Database(Path({str(tmp_path / "rlm.db")!r})))
    await journal.append("e", 0, b"kept")
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""
        killed = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
        assert await killed.wait() == -9
        database = Database(tmp_path / "rlm.db")
        assert list(await SqliteJournal(database).read("e")) == [b"kept"]
        await database.close()


class TestSqliteCatalog(CatalogContract):
    @pytest.fixture
    def catalog(self, database: Database) -> Catalog:
        return SqliteCatalog(database)

    async def test_rows_outlive_the_connection(self, tmp_path: Path) -> None:
        first = Database(tmp_path / "rlm.db")
        await SqliteCatalog(first).put_session(session(0), [document(0)])
        await SqliteCatalog(first).put_execution(execution(0))
        await first.close()
        again = Database(tmp_path / "rlm.db")
        catalog = SqliteCatalog(again)
        assert await catalog.get_session(MINE, "sess_000") == session(0)
        assert list(await catalog.list_documents(MINE, "sess_000")) == [document(0)]
        assert await catalog.get_execution(MINE, "exec_000") == execution(0)
        await again.close()

    @pytest.mark.parametrize(
        "query",
        [
            "SELECT record FROM sessions WHERE tenant_id = 'a' AND fingerprint = 'f' "
            "ORDER BY created_at DESC, session_id DESC LIMIT 1",
            "SELECT record FROM executions WHERE tenant_id = 'a' AND (created_at, execution_id) < (1, 'b') "
            "ORDER BY created_at DESC, execution_id DESC LIMIT 3",
            "SELECT record FROM executions WHERE tenant_id = 'a' AND session_id = 's' "
            "AND (created_at, execution_id) < (1, 'b') ORDER BY created_at DESC, execution_id DESC LIMIT 3",
            "SELECT record FROM documents WHERE tenant_id = 'a' AND session_id = 's' ORDER BY doc_index",
            "SELECT max(seq) FROM events WHERE execution_id = 'e'",
        ],
    )
    async def test_no_lookup_scans_a_table(self, database: Database, query: str) -> None:
        plan = " ".join(str(row[3]) for row in await database.read(f"EXPLAIN QUERY PLAN {query}"))
        assert "SEARCH" in plan
        assert "SCAN" not in plan

    @pytest.mark.parametrize("session_id", [None, "sess_1"])
    @pytest.mark.parametrize("status", [None, ExecutionStatus.RUNNING])
    @pytest.mark.parametrize("mode", [None, "RUNTIME"])
    async def test_no_list_of_executions_scans_or_sorts(
        self, database: Database, session_id: str | None, status: ExecutionStatus | None, mode: str | None
    ) -> None:
        query, wanted = executions_query(session_id, status, mode)
        plan = await _plan(database, query, (MINE, *wanted, 1e9, "exec_1", 3))
        assert "SEARCH executions USING INDEX" in plan
        assert "TEMP B-TREE" not in plan

    @pytest.mark.parametrize("status", [None, SessionStatus.READY])
    async def test_no_list_of_sessions_scans_or_sorts(
        self, database: Database, status: SessionStatus | None
    ) -> None:
        query, wanted = sessions_query(status)
        plan = await _plan(database, query, (MINE, *wanted, 1e9, "sess_1", 3))
        assert "SEARCH sessions USING INDEX" in plan
        assert "TEMP B-TREE" not in plan

    async def test_rows_written_before_there_were_modes_are_listed_as_answerer(
        self, database: Database
    ) -> None:
        catalog = SqliteCatalog(database)
        await catalog.put_execution(execution(1))
        remove = "UPDATE executions SET record = CAST(json_remove(CAST(record AS TEXT), '$.mode') AS BLOB)"
        await database.write(lambda db: db.execute(remove))
        assert await catalog.list_executions(MINE, mode="ANSWERER") == ([execution(1)], None)


async def _plan(database: Database, query: str, bindings: tuple[object, ...]) -> str:
    return " ".join(str(row[3]) for row in await database.read(f"EXPLAIN QUERY PLAN {query}", bindings))


class TestDirectoryBlobs(BlobsContract):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Blobs:
        return DirectoryBlobs(tmp_path / "blobs")

    async def test_objects_outlive_the_store(self, tmp_path: Path) -> None:
        await DirectoryBlobs(tmp_path / "blobs").put(URI, CONTENT)
        assert await DirectoryBlobs(tmp_path / "blobs").get(URI) == CONTENT

    async def test_an_object_is_a_file_here(self, tmp_path: Path) -> None:
        blobs = DirectoryBlobs(tmp_path / "blobs")
        await blobs.put(URI, CONTENT)
        path = blobs.local_path(URI)
        assert path is not None
        assert path.read_bytes() == CONTENT

    async def test_nothing_unfinished_is_left_or_listed(self, tmp_path: Path) -> None:
        blobs = DirectoryBlobs(tmp_path / "blobs")
        await asyncio.gather(*(blobs.put(f"s3://b/{i % 3}", CONTENT) for i in range(30)))
        files = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
        assert sorted(path.name for path in files) == ["0", "1", "2"]

    async def test_the_staging_folder_is_no_bucket(self, tmp_path: Path) -> None:
        blobs = DirectoryBlobs(tmp_path / "blobs")
        with pytest.raises(Exception, match=r"\.staging"):
            await blobs.delete_prefix("s3://.staging/")

    async def test_a_link_out_of_the_store_is_not_made_by_any_uri(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_bytes(b"secret")
        blobs = DirectoryBlobs(tmp_path / "blobs")
        for uri in ("s3://../secret", "s3://b/../../secret", "s3://b/%2e%2e/%2e%2e/secret", "s3:///secret"):
            with pytest.raises(Exception, match=r"secret"):
                await blobs.get(uri)

    async def test_put_file_moves_where_it_can(self, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(CONTENT)
        await DirectoryBlobs(tmp_path / "blobs").put_file(URI, source)
        assert not source.exists()


class TestDatabase:
    async def test_a_path_that_cannot_be_is_one_clear_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("not a folder")
        database = Database(tmp_path / "file" / "rlm.db")
        with pytest.raises(SettingInvalid, match="RLM_DATA_DIR"):
            await database.read("SELECT 1")
        with pytest.raises(SettingInvalid, match="RLM_DATA_DIR"):
            await SqliteJournal(database).append("e", 0, b"x")
        await database.close()

    async def test_a_file_that_is_no_database_is_one_clear_error(self, tmp_path: Path) -> None:
        (tmp_path / "rlm.db").write_bytes(b"this is not SQLite at all" * 100)
        database = Database(tmp_path / "rlm.db")
        with pytest.raises(SettingInvalid, match="RLM_DATA_DIR"):
            await database.read("SELECT 1")
        await database.close()

    async def test_a_failed_change_leaves_nothing_and_the_next_one_works(self, database: Database) -> None:
        def broken(db: object) -> None:
            db.execute("INSERT INTO events VALUES ('e', 0, x'00')")  # type: ignore[attr-defined]
            raise RuntimeError("in the middle")

        with pytest.raises(RuntimeError, match="in the middle"):
            await database.write(broken)
        assert await database.read("SELECT count(*) FROM events") == [(0,)]
        await SqliteJournal(database).append("e", 0, b"works")

    async def test_of_changes_at_once_those_that_fail_leave_the_others_alone(
        self, database: Database
    ) -> None:
        def change(number: int) -> Callable[[apsw.Connection], int]:
            def insert(db: apsw.Connection) -> int:
                db.execute("INSERT INTO events VALUES ('e', ?, x'00')", (number,))
                if number % 3 == 0:
                    raise RuntimeError(f"change {number}")
                return number

            return insert

        outcomes = await asyncio.gather(
            *(database.write(change(number)) for number in range(200)), return_exceptions=True
        )
        for number, outcome in enumerate(outcomes):
            assert str(outcome) == (f"change {number}" if number % 3 == 0 else str(number))
        kept = [row[0] for row in await database.read("SELECT seq FROM events ORDER BY seq")]
        assert kept == [number for number in range(200) if number % 3]

    async def test_what_was_written_is_read_at_once(self, database: Database) -> None:
        async def written_and_read(number: int) -> bool:
            await SqliteJournal(database).append(f"e{number}", 0, b"x")
            return list(await SqliteJournal(database).read(f"e{number}")) == [b"x"]

        assert all(await asyncio.gather(*(written_and_read(number) for number in range(100))))

    async def test_a_write_that_nobody_waits_for_any_more_hurts_no_other(self, database: Database) -> None:
        journal = SqliteJournal(database)
        writes = [asyncio.create_task(journal.append(f"e{number}", 0, b"x")) for number in range(50)]
        await asyncio.sleep(0)
        for write in writes[::2]:
            write.cancel()
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert outcomes[1::2] == [None] * 25
        for number in range(1, 50, 2):
            assert await journal.read(f"e{number}")

    async def test_readers_do_not_wait_for_writers(self, database: Database) -> None:
        await database.read("SELECT 1")
        begun, end = threading.Event(), threading.Event()

        def slow(db: apsw.Connection) -> None:
            begun.set()
            end.wait(30)

        writing = asyncio.create_task(database.write(slow))
        await asyncio.to_thread(begun.wait, 30)
        assert await asyncio.wait_for(database.read("SELECT count(*) FROM events"), 20) == [(0,)]
        assert not writing.done()
        end.set()
        await writing

    async def test_many_may_open_a_new_file_at_once(self, tmp_path: Path) -> None:
        databases = [Database(tmp_path / "rlm.db") for _ in range(8)]
        await asyncio.gather(
            *(SqliteJournal(database).append(f"e{i}", 0, b"x") for i, database in enumerate(databases))
        )
        assert await databases[0].read("SELECT count(*) FROM events") == [(8,)]
        for database in databases:
            await database.close()

    async def test_every_commit_is_forced_to_disk(self, database: Database, tmp_path: Path) -> None:
        assert await database.read("PRAGMA synchronous") == [(2,)]
        assert await database.read("PRAGMA journal_mode") == [("wal",)]
        assert sqlite3.connect(tmp_path / "data" / "rlm.db").execute("PRAGMA journal_mode").fetchone() == (
            "wal",
        )


async def test_a_file_of_a_later_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rlm.sqlite"
    later = apsw.Connection(str(path))
    later.execute("CREATE TABLE later (x); PRAGMA user_version = 99")
    database = Database(path)
    with pytest.raises(SettingInvalid, match="later release"):
        await database.read("SELECT 1")
    await database.close()
    assert [row[0] for row in later.execute("SELECT name FROM sqlite_schema")] == ["later"]
    assert later.pragma("user_version") == 99
    later.close()
