"""One SQLite file, used from one thread, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import apsw

from rlm_rs.core.errors import SettingInvalid

T = TypeVar("T")

BUSY_TIMEOUT_MS = 30_000

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
CREATE TABLE IF NOT EXISTS work (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL, tenant_id TEXT NOT NULL, item_id TEXT NOT NULL,
    owner TEXT, lease_until REAL NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0, cancel_requested INTEGER NOT NULL DEFAULT 0,
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


class Database:
    """A lazily opened SQLite connection in WAL mode, with every commit on disk before it returns.

    durable=False: what was committed last may be lost when the machine fails, though not when a process does.
    """

    def __init__(self, path: Path, schema: str = SCHEMA, *, durable: bool = True) -> None:
        self._path = path
        self._schema = schema
        self._synchronous = "FULL" if durable else "OFF"
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        self._connection: apsw.Connection | None = None

    async def read(self, query: str, bindings: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return await self._in_thread(lambda db: [tuple(row) for row in db.execute(query, bindings)])

    async def write(self, change: Callable[[apsw.Connection], T]) -> T:
        """Run `change` in one immediate transaction: all of it or nothing."""
        return await self._in_thread(lambda db: _transaction(db, change))

    async def close(self) -> None:
        """Close the connection and end the thread."""
        if self._connection is not None:
            await self._in_thread(lambda db: db.close())
            self._connection = None
        self._thread.shutdown(wait=True)

    async def _in_thread(self, use: Callable[[apsw.Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: use(self._opened()))

    def _opened(self) -> apsw.Connection:
        if self._connection is None:
            self._connection = _open(self._path, self._schema, self._synchronous)
        return self._connection


def sqlite_version() -> str:
    """The SQLite release that is compiled in, such as `3.53.1`."""
    return str(apsw.sqlite_lib_version())


def _open(path: Path, schema: str, synchronous: str) -> apsw.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        connection.execute(f"PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous};")
        connection.execute(schema)
    except (OSError, apsw.Error) as error:
        raise SettingInvalid(
            variable="RLM_DATA_DIR", value=str(path.parent), reason=f"cannot keep a database there: {error}"
        ) from error
    return connection


def _transaction(db: apsw.Connection, change: Callable[[apsw.Connection], T]) -> T:
    # a deferred transaction that writes later fails at once when another process writes
    db.execute("BEGIN IMMEDIATE")
    try:
        result = change(db)
        db.execute("COMMIT")
    except BaseException:
        # SQLite has ended the transaction itself where the disk is full or broken
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return result
