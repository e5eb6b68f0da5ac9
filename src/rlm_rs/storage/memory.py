"""Journal and catalog in memory: real implementations of the ports, for tests and short-lived use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from rlm_rs.core.errors import Fenced
from rlm_rs.core.records import (
    DocumentRecord,
    ExecutionRecord,
    ExecutionStatus,
    SessionRecord,
    SessionStatus,
)
from rlm_rs.storage.pages import after, checked_limit, page_of

T = TypeVar("T")


class MemoryJournal:
    """`core.ports.Journal`."""

    def __init__(self) -> None:
        self._records: dict[str, list[bytes]] = {}

    async def append(self, execution_id: str, seq: int, record: bytes) -> None:
        records = self._records.setdefault(execution_id, [])
        if seq != len(records):
            raise Fenced(execution_id=execution_id)
        records.append(record)

    async def read(self, execution_id: str, start: int = 0) -> Sequence[bytes]:
        return self._records.get(execution_id, [])[start:]

    async def delete(self, execution_id: str) -> None:
        self._records.pop(execution_id, None)


class MemoryCatalog:
    """`core.ports.Catalog`."""

    def __init__(self) -> None:
        self._sessions: dict[tuple[str, str], SessionRecord] = {}
        self._documents: dict[tuple[str, str], dict[str, DocumentRecord]] = {}
        self._executions: dict[tuple[str, str], ExecutionRecord] = {}

    async def put_session(self, session: SessionRecord, documents: Sequence[DocumentRecord]) -> None:
        key = (session.tenant_id, session.session_id)
        self._sessions[key] = session
        self._documents[key] = {}
        await self.put_documents(documents)

    async def get_session(self, tenant_id: str, session_id: str) -> SessionRecord | None:
        return self._sessions.get((tenant_id, session_id))

    async def list_sessions(
        self,
        tenant_id: str,
        limit: int = 100,
        cursor: str | None = None,
        status: SessionStatus | None = None,
    ) -> tuple[Sequence[SessionRecord], str | None]:
        mine = [s for s in self._sessions.values() if s.tenant_id == tenant_id]
        rows = [s for s in mine if status in (None, s.status)]
        return _page(rows, limit, cursor, _session_place)

    async def find_session(self, tenant_id: str, fingerprint: str) -> SessionRecord | None:
        found = [
            s for s in self._sessions.values() if s.tenant_id == tenant_id and s.fingerprint == fingerprint
        ]
        return max(found, key=_session_place, default=None)

    async def delete_session(self, tenant_id: str, session_id: str) -> None:
        self._sessions.pop((tenant_id, session_id), None)
        self._documents.pop((tenant_id, session_id), None)

    async def move_session(self, session: SessionRecord, expected: SessionStatus) -> bool:
        key = (session.tenant_id, session.session_id)
        known = self._sessions.get(key)
        if known is None or known.status != expected:
            return False
        self._sessions[key] = session
        return True

    async def list_ended_sessions(self, now: float, limit: int = 100) -> Sequence[SessionRecord]:
        ended = [s for s in self._sessions.values() if s.status != SessionStatus.EXPIRED and _is_over(s, now)]
        return sorted(ended, key=lambda session: session.expires_at or 0.0)[: checked_limit(limit)]

    async def put_documents(self, documents: Sequence[DocumentRecord]) -> None:
        for row in documents:
            if (row.tenant_id, row.session_id) in self._sessions:
                rows = self._documents.setdefault((row.tenant_id, row.session_id), {})
                rows[row.document.doc_id] = row

    async def list_documents(self, tenant_id: str, session_id: str) -> Sequence[DocumentRecord]:
        rows = self._documents.get((tenant_id, session_id), {})
        return sorted(rows.values(), key=lambda row: row.document.doc_index)

    async def put_execution(self, execution: ExecutionRecord) -> None:
        self._executions[(execution.tenant_id, execution.execution_id)] = execution

    async def get_execution(self, tenant_id: str, execution_id: str) -> ExecutionRecord | None:
        return self._executions.get((tenant_id, execution_id))

    async def delete_execution(self, tenant_id: str, execution_id: str) -> None:
        self._executions.pop((tenant_id, execution_id), None)

    async def list_executions(
        self,
        tenant_id: str,
        limit: int = 100,
        cursor: str | None = None,
        session_id: str | None = None,
        status: ExecutionStatus | None = None,
        mode: str | None = None,
    ) -> tuple[Sequence[ExecutionRecord], str | None]:
        rows = [
            row
            for row in self._executions.values()
            if row.tenant_id == tenant_id
            and session_id in (None, row.session_id)
            and status in (None, row.status)
            and mode in (None, row.mode)
        ]
        return _page(rows, limit, cursor, _execution_place)

    async def count_executions(self, tenant_id: str, status: ExecutionStatus) -> int:
        return sum(row.tenant_id == tenant_id and row.status == status for row in self._executions.values())


def _page(
    rows: list[T], limit: int, cursor: str | None, place: Callable[[T], tuple[float, str]]
) -> tuple[Sequence[T], str | None]:
    last = after(cursor)
    older = sorted((row for row in rows if place(row) < last), key=place, reverse=True)
    return page_of(older, checked_limit(limit), place)


def _is_over(session: SessionRecord, now: float) -> bool:
    return session.expires_at is not None and session.expires_at <= now


def _session_place(session: SessionRecord) -> tuple[float, str]:
    return session.created_at, session.session_id


def _execution_place(execution: ExecutionRecord) -> tuple[float, str]:
    return execution.created_at, execution.execution_id
