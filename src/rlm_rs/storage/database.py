"""One SQLite file, used from threads of its own, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import apsw

from rlm_rs.core.errors import SettingInvalid

T = TypeVar("T")

BUSY_TIMEOUT_MS = 30_000
BUSY_PAUSE_SECONDS = 0.02
MAX_WRITES_TOGETHER = 64

SCHEMA_VERSION = 1
"""Kept in each file (PRAGMA user_version), so that a release refuses what a later one has written."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    execution_id TEXT NOT NULL, seq INTEGER NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (execution_id, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (
    tenant_id TEXT NOT NULL, session_id TEXT NOT NULL, created_at REAL NOT NULL,
    fingerprint TEXT, record BLOB NOT NULL,
    PRIMARY KEY (tenant_id, session_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_by_age ON sessions (tenant_id, created_at, session_id);
CREATE INDEX IF NOT EXISTS sessions_by_fingerprint ON sessions (tenant_id, fingerprint, created_at);
CREATE INDEX IF NOT EXISTS sessions_by_end
    ON sessions (json_extract(CAST(record AS TEXT), '$.expires_at'))
    WHERE json_extract(CAST(record AS TEXT), '$.status') <> 'EXPIRED';
CREATE INDEX IF NOT EXISTS sessions_by_status
    ON sessions (tenant_id, json_extract(CAST(record AS TEXT), '$.status'), created_at, session_id);
CREATE TABLE IF NOT EXISTS documents (
    tenant_id TEXT NOT NULL, session_id TEXT NOT NULL, doc_id TEXT NOT NULL,
    doc_index INTEGER NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (tenant_id, session_id, doc_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS executions (
    tenant_id TEXT NOT NULL, execution_id TEXT NOT NULL, session_id TEXT NOT NULL,
    created_at REAL NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (tenant_id, execution_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS executions_by_age ON executions (tenant_id, created_at, execution_id);
CREATE INDEX IF NOT EXISTS executions_by_session ON executions (tenant_id, session_id, created_at);
CREATE INDEX IF NOT EXISTS executions_by_status
    ON executions (tenant_id, json_extract(CAST(record AS TEXT), '$.status'), created_at, execution_id);
CREATE INDEX IF NOT EXISTS executions_by_mode ON executions
    (tenant_id, coalesce(json_extract(CAST(record AS TEXT), '$.mode'), 'ANSWERER'), created_at, execution_id);
CREATE INDEX IF NOT EXISTS executions_by_status_and_mode ON executions
    (tenant_id, json_extract(CAST(record AS TEXT), '$.status'),
     coalesce(json_extract(CAST(record AS TEXT), '$.mode'), 'ANSWERER'), created_at, execution_id);
CREATE INDEX IF NOT EXISTS executions_by_session_and_status ON executions
    (tenant_id, session_id, json_extract(CAST(record AS TEXT), '$.status'), created_at, execution_id);
CREATE TABLE IF NOT EXISTS evaluations (
    tenant_id TEXT NOT NULL, execution_id TEXT NOT NULL, revision INTEGER NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (tenant_id, execution_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS work (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL, tenant_id TEXT NOT NULL, item_id TEXT NOT NULL,
    owner TEXT, lease_until REAL NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0, cancel_requested INTEGER NOT NULL DEFAULT 0,
    request_id TEXT NOT NULL DEFAULT '',
    UNIQUE (kind, tenant_id, item_id)
);
CREATE INDEX IF NOT EXISTS work_by_age ON work (kind, tenant_id, number, lease_until);
CREATE INDEX IF NOT EXISTS work_by_lease ON work (kind, tenant_id, lease_until);
CREATE INDEX IF NOT EXISTS work_free ON work (kind, lease_until);
CREATE TABLE IF NOT EXISTS api_keys (
    key_hash TEXT PRIMARY KEY, key_id TEXT NOT NULL, tenant_id TEXT NOT NULL, name TEXT NOT NULL,
    scopes TEXT NOT NULL, created_at REAL NOT NULL, expires_at REAL, revoked_at REAL, last_used_at REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS api_keys_by_tenant ON api_keys (tenant_id, created_at, key_id);
CREATE INDEX IF NOT EXISTS api_keys_by_age ON api_keys (created_at, key_id);
CREATE TABLE IF NOT EXISTS audit_log (
    tenant_id TEXT NOT NULL, at REAL NOT NULL, entry_id TEXT NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (tenant_id, at, entry_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS idempotency (
    tenant_id TEXT NOT NULL, key TEXT NOT NULL, request_digest TEXT NOT NULL,
    response BLOB, until REAL NOT NULL,
    PRIMARY KEY (tenant_id, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS idempotency_by_end ON idempotency (until);
"""

LATER_COLUMNS = (("work", "request_id", "TEXT NOT NULL DEFAULT ''"),)
"""Table, name and type of columns that a file of an earlier release does not have yet."""


class Database:
    """A lazily opened SQLite file in WAL mode, with every commit on disk before it returns.

    Reads have a connection and a thread of their own, and writes that wait at the same time are committed
    together, so that neither a queue of writers nor the disk's pace holds up everybody.
    durable=False: what was committed last may be lost when the machine fails, though not when a process does.
    """

    def __init__(self, path: Path, schema: str = SCHEMA, *, durable: bool = True) -> None:
        synchronous = "FULL" if durable else "OFF"
        self._reader = _Connection(lambda: _open(path, schema, synchronous), "sqlite-read")
        self._writer = _Connection(lambda: _open(path, schema, synchronous), "sqlite-write")
        self._waiting: SimpleQueue[_Write] = SimpleQueue()

    async def read(self, query: str, bindings: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return await asyncio.wrap_future(
            self._reader.submit(lambda db: [tuple(row) for row in db.execute(query, bindings)])
        )

    async def write(self, change: Callable[[apsw.Connection], T]) -> T:
        """Run `change` as if in an immediate transaction of its own: all of it or nothing."""
        write = _Write(change)
        self._waiting.put(write)
        # whichever of these comes first commits all that wait; the others then find nothing to do
        self._writer.submit(lambda db: _commit(db, self._taken()), on_failure=self._fail)
        result: T = await asyncio.wrap_future(write.outcome)
        return result

    async def close(self) -> None:
        """Close the connections and end the threads."""
        await asyncio.to_thread(self._reader.close)
        await asyncio.to_thread(self._writer.close)

    def _taken(self) -> list[_Write]:
        count = min(self._waiting.qsize(), MAX_WRITES_TOGETHER)
        taken = [self._waiting.get_nowait() for _ in range(count)]
        return [write for write in taken if write.outcome.set_running_or_notify_cancel()]

    def _fail(self, error: BaseException) -> None:
        for write in self._taken():
            write.outcome.set_exception(error)


class _Connection:
    """A connection that is opened when first used, and the one thread that uses it."""

    def __init__(self, open_: Callable[[], apsw.Connection], name: str) -> None:
        self._open = open_
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._connection: apsw.Connection | None = None

    def submit(
        self, use: Callable[[apsw.Connection], T], on_failure: Callable[[BaseException], None] | None = None
    ) -> Future[T]:
        """Use the connection in its thread. on_failure is told there when it cannot be opened."""

        def used() -> T:
            try:
                connection = self._opened()
            except BaseException as error:
                if on_failure:
                    on_failure(error)
                raise
            return use(connection)

        return self._thread.submit(used)

    def close(self) -> None:
        """Wait for what was asked for, then close."""
        self._thread.shutdown(wait=True)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self) -> apsw.Connection:
        if self._connection is None:
            self._connection = self._open()
        return self._connection


class _Write:
    """A change that waits to be made, and its outcome for whoever asked for it."""

    def __init__(self, change: Callable[[apsw.Connection], Any]) -> None:
        self.change = change
        self.outcome: Future[Any] = Future()

    def attempt(self, db: apsw.Connection) -> Callable[[], None]:
        """Make the change or leave no trace of it; returns what says so to whoever asked, once committed."""
        db.execute("SAVEPOINT one")
        try:
            result = self.change(db)
        except BaseException as error:
            # the edge of one write: its failure goes to whoever asked for it, not to the others
            if not db.in_transaction:
                # SQLite has ended the transaction itself: the disk is full or broken
                raise
            db.execute("ROLLBACK TO one; RELEASE one")
            failure = error
            return lambda: self.outcome.set_exception(failure)
        db.execute("RELEASE one")
        return lambda: self.outcome.set_result(result)


def sqlite_version() -> str:
    """The SQLite release that is compiled in, such as `3.53.1`."""
    return str(apsw.sqlite_lib_version())


def _open(path: Path, schema: str, synchronous: str) -> apsw.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        _patiently(connection, "PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        # what is deleted is overwritten: a removed session's text does not stay in free pages
        connection.execute("PRAGMA secure_delete=ON")
        known = _checked_version(connection, path)
        # a file that has the number already is not written to
        number = "" if known == SCHEMA_VERSION else f"PRAGMA user_version={SCHEMA_VERSION};"
        _patiently(connection, f"BEGIN IMMEDIATE; {schema}; {number} COMMIT")
        _add_later_columns(connection)
    except (OSError, apsw.Error) as error:
        raise SettingInvalid(
            variable="RLM_DATA_DIR", value=str(path.parent), reason=f"cannot keep a database there: {error}"
        ) from error
    return connection


def _checked_version(db: apsw.Connection, path: Path) -> int:
    """The file's number, 0 for a new one. Raises `SettingInvalid` if a later release wrote it."""
    row = db.execute("PRAGMA user_version").fetchone()
    known = int(row[0]) if row else 0
    if known > SCHEMA_VERSION:
        db.close()
        reason = f"{path.name} was written by a later release. Use that one, or another folder."
        raise SettingInvalid(variable="RLM_DATA_DIR", value=str(path.parent), reason=reason)
    return known


def _add_later_columns(db: apsw.Connection) -> None:
    for table, column, type_ in LATER_COLUMNS:
        if _lacks(db, table, column):
            db.execute("BEGIN IMMEDIATE")
            # another process may have been faster
            if _lacks(db, table, column):
                db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {type_}")
            db.execute("COMMIT")


def _lacks(db: apsw.Connection, table: str, column: str) -> bool:
    names = [row[0] for row in db.execute("SELECT name FROM pragma_table_info(?)", (table,))]
    return bool(names) and column not in names


def _patiently(db: apsw.Connection, statements: str) -> None:
    """Run statements that the busy timeout does not cover while other processes open the same new file."""
    until = time.monotonic() + BUSY_TIMEOUT_MS / 1_000
    while True:
        try:
            db.execute(statements)
        except apsw.BusyError:
            if db.in_transaction:
                db.execute("ROLLBACK")
            if time.monotonic() > until:
                raise
            time.sleep(BUSY_PAUSE_SECONDS)
        else:
            return


def _commit(db: apsw.Connection, writes: Sequence[_Write]) -> None:
    if not writes:
        return
    try:
        # a deferred transaction that writes later fails at once when another process writes
        db.execute("BEGIN IMMEDIATE")
        tellings = [write.attempt(db) for write in writes]
        db.execute("COMMIT")
    except BaseException as error:  # noqa: BLE001
        # the edge of the writing thread: all of these were undone, and each is told so
        if db.in_transaction:
            db.execute("ROLLBACK")
        for write in writes:
            write.outcome.set_exception(error)
        return
    for tell in tellings:
        tell()
