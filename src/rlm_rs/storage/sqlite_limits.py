"""Idempotency keys and rates in SQLite, shared by every process that has the data directory open."""

from __future__ import annotations

import time
from collections.abc import Callable

import apsw

from rlm_rs.core.ports import IDEMPOTENCY_SECONDS
from rlm_rs.storage.database import Database
from rlm_rs.storage.memory_limits import replayed

RATES_SCHEMA = """
CREATE TABLE IF NOT EXISTS rates (key TEXT PRIMARY KEY, time_ns INTEGER NOT NULL) WITHOUT ROWID;
"""


class SqliteIdempotency:
    """`core.ports.Idempotency`. `clock` gives seconds since the epoch, alike in all processes."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._db = database
        self._clock = clock

    async def begin(self, tenant_id: str, key: str, request_digest: str, hold_seconds: float) -> bytes | None:
        def take(db: apsw.Connection) -> bytes | None:
            now = self._clock()
            db.execute("DELETE FROM idempotency WHERE until <= ?", (now,))
            query = "SELECT request_digest, response FROM idempotency WHERE tenant_id = ? AND key = ?"
            row = db.execute(query, (tenant_id, key)).fetchone()
            if row:
                return replayed(key, request_digest, *row)
            held = (tenant_id, key, request_digest, None, now + hold_seconds)
            db.execute("INSERT INTO idempotency VALUES (?, ?, ?, ?, ?)", held)
            return None

        return await self._db.write(take)

    async def finish(self, tenant_id: str, key: str, request_digest: str, response: bytes) -> None:
        query = """UPDATE idempotency SET response = ?, until = ?
                   WHERE tenant_id = ? AND key = ? AND request_digest = ? AND response IS NULL"""
        until = self._clock() + IDEMPOTENCY_SECONDS
        bindings = (response, until, tenant_id, key, request_digest)
        await self._db.write(lambda db: db.execute(query, bindings))

    async def abandon(self, tenant_id: str, key: str, request_digest: str) -> None:
        query = """DELETE FROM idempotency
                   WHERE tenant_id = ? AND key = ? AND request_digest = ? AND response IS NULL"""
        await self._db.write(lambda db: db.execute(query, (tenant_id, key, request_digest)))


class SqliteRates:
    """`core.ports.Rates`, in a database made with RATES_SCHEMA that need not be durable."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def take(self, key: str, now_ns: int, step_ns: int, burst_ns: int) -> int:
        def move(db: apsw.Connection) -> int:
            row = db.execute("SELECT time_ns FROM rates WHERE key = ?", (key,)).fetchone()
            moved = max(int(row[0]) if row else 0, now_ns) + step_ns
            if moved <= now_ns + burst_ns:
                db.execute("INSERT OR REPLACE INTO rates VALUES (?, ?)", (key, moved))
            return moved - now_ns

        return await self._db.write(move)
