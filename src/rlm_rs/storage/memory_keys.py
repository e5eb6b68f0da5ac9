"""API keys and the audit log in memory."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

from rlm_rs.core.records import ApiKeyRecord, AuditRecord
from rlm_rs.storage.pages import after, checked_limit, page_of


class MemoryKeys:
    """`core.ports.Keys`."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKeyRecord] = {}

    async def put_key(self, key: ApiKeyRecord) -> None:
        self._keys[key.key_hash] = key

    async def find_key(self, key_hash: str) -> ApiKeyRecord | None:
        return self._keys.get(key_hash)

    async def mark_used(self, key_hash: str, at: float) -> None:
        if key_hash in self._keys:
            self._keys[key_hash] = replace(self._keys[key_hash], last_used_at=at)

    async def list_keys(self, tenant_id: str | None = None) -> Sequence[ApiKeyRecord]:
        found = [key for key in self._keys.values() if tenant_id in (None, key.tenant_id)]
        return sorted(found, key=lambda key: (key.created_at, key.key_id))


class MemoryAuditLog:
    """`core.ports.AuditLog`."""

    def __init__(self) -> None:
        self._entries: dict[tuple[float, str], AuditRecord] = {}

    async def write(self, entry: AuditRecord) -> None:
        self._entries[(entry.at, uuid.uuid4().hex)] = entry

    async def list_entries(
        self, tenant_id: str, limit: int = 100, cursor: str | None = None
    ) -> tuple[Sequence[AuditRecord], str | None]:
        last = after(cursor)
        mine = [
            place for place, entry in self._entries.items() if entry.tenant_id == tenant_id and place < last
        ]
        page, following = page_of(sorted(mine, reverse=True), checked_limit(limit), lambda place: place)
        return [self._entries[place] for place in page], following
