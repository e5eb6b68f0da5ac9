"""API keys and the audit log in SQLite."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from rlm_rs.core.records import ApiKeyRecord, AuditRecord
from rlm_rs.storage.database import Database
from rlm_rs.storage.pages import after, checked_limit, page_of

ENTRY = TypeAdapter(AuditRecord)

COLUMNS = "key_hash, key_id, tenant_id, name, scopes, created_at, expires_at, revoked_at, last_used_at"


class SqliteKeys:
    """`core.ports.Keys`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def put_key(self, key: ApiKeyRecord) -> None:
        query = f"INSERT OR REPLACE INTO api_keys ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        await self._db.write(lambda db: db.execute(query, _row_of(key)))

    async def find_key(self, key_hash: str) -> ApiKeyRecord | None:
        rows = await self._db.read(f"SELECT {COLUMNS} FROM api_keys WHERE key_hash = ?", (key_hash,))
        return _key_of(rows[0]) if rows else None

    async def mark_used(self, key_hash: str, at: float) -> None:
        query = "UPDATE api_keys SET last_used_at = ? WHERE key_hash = ?"
        await self._db.write(lambda db: db.execute(query, (at, key_hash)))

    async def list_keys(self, tenant_id: str | None = None) -> Sequence[ApiKeyRecord]:
        of_tenant = "WHERE tenant_id = ?" if tenant_id is not None else ""
        query = f"SELECT {COLUMNS} FROM api_keys {of_tenant} ORDER BY created_at, key_id"
        bindings = (tenant_id,) if tenant_id is not None else ()
        return [_key_of(row) for row in await self._db.read(query, bindings)]


class SqliteAuditLog:
    """`core.ports.AuditLog`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def write(self, entry: AuditRecord) -> None:
        row = (entry.tenant_id, entry.at, uuid.uuid4().hex, ENTRY.dump_json(entry))
        await self._db.write(lambda db: db.execute("INSERT INTO audit_log VALUES (?, ?, ?, ?)", row))

    async def list_entries(
        self, tenant_id: str, limit: int = 100, cursor: str | None = None
    ) -> tuple[Sequence[AuditRecord], str | None]:
        query = """SELECT at, entry_id, record FROM audit_log WHERE tenant_id = ? AND (at, entry_id) < (?, ?)
                   ORDER BY at DESC, entry_id DESC LIMIT ?"""
        rows = await self._db.read(query, (tenant_id, *after(cursor), checked_limit(limit) + 1))
        page, following = page_of(rows, limit, lambda row: (row[0], row[1]))
        return [ENTRY.validate_json(row[2]) for row in page], following


def _row_of(key: ApiKeyRecord) -> tuple[Any, ...]:
    return (
        key.key_hash,
        key.key_id,
        key.tenant_id,
        key.name,
        json.dumps(key.scopes),
        key.created_at,
        key.expires_at,
        key.revoked_at,
        key.last_used_at,
    )


def _key_of(row: tuple[Any, ...]) -> ApiKeyRecord:
    key_hash, key_id, tenant_id, name, scopes, *times = row
    return ApiKeyRecord(key_hash, key_id, tenant_id, name, tuple(json.loads(scopes)), *times)
