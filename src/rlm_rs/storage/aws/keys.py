"""API keys and the audit log in DynamoDB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from pydantic import TypeAdapter

from rlm_rs.core.records import ApiKeyRecord, AuditRecord
from rlm_rs.storage.aws.dynamo import ConditionFailed, Dynamo, Item, Lookup
from rlm_rs.storage.aws.places import age, key
from rlm_rs.storage.aws.tables import API_KEYS, AUDIT_LOG, PARTITION_KEY, SORT_KEY
from rlm_rs.storage.pages import Page, after, checked_limit, page_of

ENTRY = TypeAdapter(AuditRecord)
BY_TENANT, BY_AGE = API_KEYS.indexes
ALL = "KEYS"
ID_CHARS = 12


class DynamoKeys:
    """`core.ports.Keys` in the table api_keys: `KEY#hash / KEY#hash`.

    A key that the seed's scripts wrote (tenant_id, scopes, revoked) is good here too.
    """

    def __init__(self, dynamo: Dynamo) -> None:
        self._dynamo = dynamo

    async def put_key(self, key: ApiKeyRecord) -> None:
        await self._dynamo.put(API_KEYS, _item(key))

    async def find_key(self, key_hash: str) -> ApiKeyRecord | None:
        item = await self._dynamo.get(API_KEYS, *_place(key_hash))
        return _key(key_hash, item) if item else None

    async def mark_used(self, key_hash: str, at: float) -> None:
        try:
            await self._dynamo.update(
                API_KEYS, *_place(key_hash), "SET #last_used_at = :at", "attribute_exists(#PK)", at=at
            )
        except ConditionFailed:
            # the key was removed: nothing is to be made of it
            return

    async def list_keys(self, tenant_id: str | None = None) -> Sequence[ApiKeyRecord]:
        if tenant_id is None:
            lookup = Lookup(API_KEYS, "#all_key = :all", {"all": ALL}, index=BY_AGE)
        else:
            tenant = {"tenant": key("TENANT", tenant_id)}
            lookup = Lookup(API_KEYS, "#tenant_key = :tenant", tenant, index=BY_TENANT)
        return [_key(item["key_hash"], item) for item in await self._dynamo.query(lookup)]


class DynamoAuditLog:
    """`core.ports.AuditLog` in the table audit_log: `TENANT#… / TS#…#REQ#…`."""

    def __init__(self, dynamo: Dynamo) -> None:
        self._dynamo = dynamo

    async def write(self, entry: AuditRecord) -> None:
        row_id = uuid4().hex
        item = {
            PARTITION_KEY: key("TENANT", entry.tenant_id),
            SORT_KEY: f"TS#{age(entry.at, row_id)}#{key('REQ', entry.request_id)}",
            "row_id": row_id,
            "at": entry.at,
            "record": ENTRY.dump_json(entry),
        }
        await self._dynamo.put(AUDIT_LOG, item)

    async def list_entries(
        self, tenant_id: str, limit: int = 100, cursor: str | None = None
    ) -> Page[AuditRecord]:
        last = f"TS#{age(*after(cursor))}" if cursor else "TS#~"
        lookup = Lookup(
            AUDIT_LOG,
            "#PK = :pk AND #SK BETWEEN :first AND :last",
            {"pk": key("TENANT", tenant_id), "first": "TS#", "last": last},
            newest_first=True,
        )
        items = await self._dynamo.query(lookup, checked_limit(limit) + 1)
        page, following = page_of(items, limit, lambda item: (item["at"], item["row_id"]))
        return [ENTRY.validate_json(item["record"]) for item in page], following


def _place(key_hash: str) -> tuple[str, str]:
    return key("KEY", key_hash), key("KEY", key_hash)


def _item(record: ApiKeyRecord) -> Item:
    partition, sort = _place(record.key_hash)
    return {
        PARTITION_KEY: partition,
        SORT_KEY: sort,
        "age": age(record.created_at, record.key_id),
        "tenant_key": key("TENANT", record.tenant_id),
        "all_key": ALL,
        "key_hash": record.key_hash,
        "key_id": record.key_id,
        "tenant_id": record.tenant_id,
        "name": record.name,
        "scopes": list(record.scopes),
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "revoked_at": record.revoked_at,
        "revoked": record.revoked_at is not None,
        "last_used_at": record.last_used_at,
    }


def _key(key_hash: str, item: Item) -> ApiKeyRecord:
    known: dict[str, Any] = {
        name: item.get(name) for name in ("expires_at", "revoked_at", "last_used_at") if item.get(name)
    }
    if item.get("revoked"):
        known.setdefault("revoked_at", 0.0)
    return ApiKeyRecord(
        key_hash=key_hash,
        key_id=item.get("key_id") or key_hash[:ID_CHARS],
        tenant_id=item["tenant_id"],
        name=item.get("name") or "",
        scopes=tuple(item["scopes"]) if item.get("scopes") is not None else ("read", "write"),
        created_at=item.get("created_at") or 0.0,
        **known,
    )
