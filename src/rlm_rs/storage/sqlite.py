"""Journal and catalog in one SQLite file: the embedded default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import apsw
from pydantic import TypeAdapter

from rlm_rs.core.errors import Fenced
from rlm_rs.core.records import (
    DocumentRecord,
    ExecutionRecord,
    ExecutionStatus,
    SessionRecord,
    SessionStatus,
)
from rlm_rs.storage.database import Database
from rlm_rs.storage.pages import after, checked_limit, page_of

T = TypeVar("T")

# spelt as the index in database.py has it, or it is not used
EXPIRES_AT = "json_extract(CAST(record AS TEXT), '$.expires_at')"
STATUS = "json_extract(CAST(record AS TEXT), '$.status')"
MODE = "coalesce(json_extract(CAST(record AS TEXT), '$.mode'), 'ANSWERER')"

INSERT_DOCUMENT = """
INSERT OR REPLACE INTO documents SELECT ?1, ?2, ?3, ?4, ?5
WHERE EXISTS (SELECT 1 FROM sessions WHERE tenant_id = ?1 AND session_id = ?2)
"""

SESSION = TypeAdapter(SessionRecord)
DOCUMENT = TypeAdapter(DocumentRecord)
EXECUTION = TypeAdapter(ExecutionRecord)


class SqliteJournal:
    """`core.ports.Journal`: the primary key (execution, number) is the fence."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def append(self, execution_id: str, seq: int, record: bytes) -> None:
        def insert(db: apsw.Connection) -> None:
            row = db.execute("SELECT max(seq) FROM events WHERE execution_id = ?", (execution_id,)).fetchone()
            last = -1 if row is None or row[0] is None else row[0]
            if seq != last + 1:
                raise Fenced(execution_id=execution_id)
            db.execute("INSERT INTO events VALUES (?, ?, ?)", (execution_id, seq, record))

        await self._db.write(insert)

    async def read(self, execution_id: str, start: int = 0) -> Sequence[bytes]:
        query = "SELECT record FROM events WHERE execution_id = ? AND seq >= ? ORDER BY seq"
        return [row[0] for row in await self._db.read(query, (execution_id, start))]

    async def delete(self, execution_id: str) -> None:
        await self._db.write(
            lambda db: db.execute("DELETE FROM events WHERE execution_id = ?", (execution_id,))
        )


class SqliteCatalog:
    """`core.ports.Catalog`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def put_session(self, session: SessionRecord, documents: Sequence[DocumentRecord]) -> None:
        key = (session.tenant_id, session.session_id)

        def replace(db: apsw.Connection) -> None:
            db.execute(
                "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?)",
                (*key, session.created_at, session.fingerprint, SESSION.dump_json(session)),
            )
            db.execute("DELETE FROM documents WHERE tenant_id = ? AND session_id = ?", key)
            _insert_documents(db, documents)

        await self._db.write(replace)

    async def get_session(self, tenant_id: str, session_id: str) -> SessionRecord | None:
        query = "SELECT record FROM sessions WHERE tenant_id = ? AND session_id = ?"
        return _one(SESSION, await self._db.read(query, (tenant_id, session_id)))

    async def list_sessions(
        self,
        tenant_id: str,
        limit: int = 100,
        cursor: str | None = None,
        status: SessionStatus | None = None,
    ) -> tuple[Sequence[SessionRecord], str | None]:
        query, wanted = sessions_query(status)
        rows = await self._db.read(query, (tenant_id, *wanted, *after(cursor), checked_limit(limit) + 1))
        found = [SESSION.validate_json(row[0]) for row in rows]
        return page_of(found, limit, lambda session: (session.created_at, session.session_id))

    async def find_session(self, tenant_id: str, fingerprint: str) -> SessionRecord | None:
        query = """SELECT record FROM sessions WHERE tenant_id = ? AND fingerprint = ?
                   ORDER BY created_at DESC, session_id DESC LIMIT 1"""
        return _one(SESSION, await self._db.read(query, (tenant_id, fingerprint)))

    async def delete_session(self, tenant_id: str, session_id: str) -> None:
        def remove(db: apsw.Connection) -> None:
            for table in ("sessions", "documents"):
                db.execute(
                    f"DELETE FROM {table} WHERE tenant_id = ? AND session_id = ?", (tenant_id, session_id)
                )

        await self._db.write(remove)

    async def move_session(self, session: SessionRecord, expected: SessionStatus) -> bool:
        key = (session.tenant_id, session.session_id)
        change = f"""UPDATE sessions SET fingerprint = ?, record = ?
                     WHERE tenant_id = ? AND session_id = ? AND {STATUS} = ?"""

        def move(db: apsw.Connection) -> bool:
            db.execute(change, (session.fingerprint, SESSION.dump_json(session), *key, str(expected)))
            return bool(db.changes())

        return await self._db.write(move)

    async def list_ended_sessions(self, now: float, limit: int = 100) -> Sequence[SessionRecord]:
        query = f"""SELECT record FROM sessions WHERE {EXPIRES_AT} <= ? AND {STATUS} <> 'EXPIRED'
                    ORDER BY {EXPIRES_AT} LIMIT ?"""
        return [
            SESSION.validate_json(row[0]) for row in await self._db.read(query, (now, checked_limit(limit)))
        ]

    async def put_documents(self, documents: Sequence[DocumentRecord]) -> None:
        await self._db.write(lambda db: _insert_documents(db, documents))

    async def list_documents(self, tenant_id: str, session_id: str) -> Sequence[DocumentRecord]:
        query = "SELECT record FROM documents WHERE tenant_id = ? AND session_id = ? ORDER BY doc_index"
        return [DOCUMENT.validate_json(row[0]) for row in await self._db.read(query, (tenant_id, session_id))]

    async def put_execution(self, execution: ExecutionRecord) -> None:
        row = (
            execution.tenant_id,
            execution.execution_id,
            execution.session_id,
            execution.created_at,
            EXECUTION.dump_json(execution),
        )
        await self._db.write(
            lambda db: db.execute("INSERT OR REPLACE INTO executions VALUES (?, ?, ?, ?, ?)", row)
        )

    async def get_execution(self, tenant_id: str, execution_id: str) -> ExecutionRecord | None:
        query = "SELECT record FROM executions WHERE tenant_id = ? AND execution_id = ?"
        return _one(EXECUTION, await self._db.read(query, (tenant_id, execution_id)))

    async def delete_execution(self, tenant_id: str, execution_id: str) -> None:
        remove = "DELETE FROM executions WHERE tenant_id = ? AND execution_id = ?"
        await self._db.write(lambda db: db.execute(remove, (tenant_id, execution_id)))

    async def list_executions(
        self,
        tenant_id: str,
        limit: int = 100,
        cursor: str | None = None,
        session_id: str | None = None,
        status: ExecutionStatus | None = None,
        mode: str | None = None,
    ) -> tuple[Sequence[ExecutionRecord], str | None]:
        query, wanted = executions_query(session_id, status, mode)
        rows = await self._db.read(query, (tenant_id, *wanted, *after(cursor), checked_limit(limit) + 1))
        found = [EXECUTION.validate_json(row[0]) for row in rows]
        return page_of(found, limit, lambda execution: (execution.created_at, execution.execution_id))

    async def count_executions(self, tenant_id: str, status: ExecutionStatus) -> int:
        query = f"SELECT count(*) FROM executions WHERE tenant_id = ? AND {STATUS} = ?"
        return int((await self._db.read(query, (tenant_id, str(status))))[0][0])


def sessions_query(status: SessionStatus | None) -> tuple[str, list[str]]:
    """The query of a page of sessions, and what it binds between the tenant and the cursor."""
    filters = {STATUS: status and str(status)}
    return _page_query("sessions", "session_id", filters), _given(filters)


def executions_query(
    session_id: str | None, status: ExecutionStatus | None, mode: str | None
) -> tuple[str, list[str]]:
    """The query of a page of executions, and what it binds between the tenant and the cursor."""
    filters = {"session_id": session_id, STATUS: status and str(status), MODE: mode}
    return _page_query("executions", "execution_id", filters), _given(filters)


def _page_query(table: str, row_id: str, filters: Mapping[str, str | None]) -> str:
    wanted = "".join(f" AND {column} = ?" for column, value in filters.items() if value is not None)
    return f"""SELECT record FROM {table} WHERE tenant_id = ?{wanted} AND (created_at, {row_id}) < (?, ?)
               ORDER BY created_at DESC, {row_id} DESC LIMIT ?"""


def _given(filters: Mapping[str, str | None]) -> list[str]:
    return [value for value in filters.values() if value is not None]


def _insert_documents(db: apsw.Connection, documents: Sequence[DocumentRecord]) -> None:
    rows = [
        (d.tenant_id, d.session_id, d.document.doc_id, d.document.doc_index, DOCUMENT.dump_json(d))
        for d in documents
    ]
    if rows:
        db.executemany(INSERT_DOCUMENT, rows)


def _one(adapter: TypeAdapter[T], rows: Sequence[tuple[Any, ...]]) -> T | None:
    return adapter.validate_json(rows[0][0]) if rows else None
