"""Sessions and their documents in DynamoDB.

A session's documents stand under a generation that its row names: they are written first and count once the
row names them, so that a session of any number of documents is replaced all at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any
from uuid import uuid4
from zlib import crc32

from pydantic import TypeAdapter

from rlm_rs.core.errors import BlobNotFound
from rlm_rs.core.records import DocumentRecord, SessionRecord, SessionStatus
from rlm_rs.storage.aws.dynamo import ConditionFailed, Dynamo, Item, Lookup
from rlm_rs.storage.aws.large import INDEXED_INLINE_BYTES, LargeRecords
from rlm_rs.storage.aws.places import age, key, moment, place_of_age
from rlm_rs.storage.aws.tables import DOCUMENTS, PARTITION_KEY, SESSIONS, SORT_KEY, TTL_ATTRIBUTE
from rlm_rs.storage.pages import Page, after, checked_limit, page_of

SESSION = TypeAdapter(SessionRecord)
DOCUMENT = TypeAdapter(DocumentRecord)

END_SHARDS = 8
"""Partitions that the sessions of all tenants are spread over, in the index of those whose time is over."""
EXPIRED_ROW_SECONDS = 90 * 24 * 3600
"""How long the row of an expired session still says so."""
READS_AT_ONCE = 16

BY_AGE, BY_STATUS, BY_FINGERPRINT, BY_END = SESSIONS.indexes
GENERATION = "documents"
# what a row may have and a later one may not
RECORD = ("record", "record_uri", "checksum", "byte_length")
OPTIONAL = ("fingerprint_key", "end_key", "ends_at", TTL_ATTRIBUTE, *RECORD)


class SessionRows:
    """The part of `core.ports.Catalog` that is about sessions and documents."""

    def __init__(self, dynamo: Dynamo, large: LargeRecords) -> None:
        self._dynamo = dynamo
        self._large = large

    async def put_session(self, session: SessionRecord, documents: Sequence[DocumentRecord]) -> None:
        generation = uuid4().hex[:12]
        await self._put_documents(documents, generation)
        row = {**await self._row(session), GENERATION: generation}
        replaced = await self._dynamo.put(SESSIONS, row)
        if replaced:
            await self._large.drop([replaced], keep=row.get("record_uri"))
            await self._remove_documents(session.tenant_id, session.session_id, but=generation)

    async def get_session(self, tenant_id: str, session_id: str) -> SessionRecord | None:
        item = await self._session_item(tenant_id, session_id)
        return await self._session(item) if item else None

    async def list_sessions(
        self,
        tenant_id: str,
        limit: int = 100,
        cursor: str | None = None,
        status: SessionStatus | None = None,
    ) -> Page[SessionRecord]:
        wanted, rows = checked_limit(limit), list[SessionRecord]()
        while True:
            lookup = _newest_sessions(tenant_id, status, cursor)
            found = await self._dynamo.query(lookup, wanted - len(rows) + 1)
            items, cursor = page_of(found, wanted - len(rows), lambda item: place_of_age(str(item["age"])))
            # what was changed or removed meanwhile may not belong here any more
            rows += [row for row in await self._sessions(items) if status in (None, row.status)]
            if cursor is None or len(rows) == wanted:
                return rows, cursor

    async def find_session(self, tenant_id: str, fingerprint: str) -> SessionRecord | None:
        lookup = newest("fingerprint_key", key("TENANT", tenant_id, fingerprint), None)
        items = await self._dynamo.query(Lookup(SESSIONS, index=BY_FINGERPRINT, **lookup), 1)
        found = await self._session(items[0]) if items else None
        return found if found and found.fingerprint == fingerprint else None

    async def delete_session(self, tenant_id: str, session_id: str) -> None:
        gone = await self._dynamo.delete(SESSIONS, *_session_key(tenant_id, session_id))
        await self._large.drop([gone])
        await self._remove_documents(tenant_id, session_id)

    async def move_session(self, session: SessionRecord, expected: SessionStatus) -> bool:
        row = await self._row(session)
        where = (row.pop(PARTITION_KEY), row.pop(SORT_KEY))
        given = {name: value for name, value in row.items() if value is not None}
        change = "SET " + ", ".join(f"#{name} = :{name}" for name in given)
        absent = [name for name in OPTIONAL if name not in given]
        if absent:
            change += " REMOVE " + ", ".join(f"#{name}" for name in absent)
        try:
            before = await self._dynamo.update(
                SESSIONS, *where, change, "#status = :expected", "ALL_OLD", **given, expected=str(expected)
            )
        except ConditionFailed as error:
            await self._large.drop([row], keep=(error.item or {}).get("record_uri"))
            return False
        await self._large.drop([before], keep=row.get("record_uri"))
        return True

    async def list_ended_sessions(self, now: float, limit: int = 100) -> Sequence[SessionRecord]:
        wanted, until = checked_limit(limit), f"{moment(now)}#~"
        shards = await asyncio.gather(
            *(
                self._dynamo.query(
                    Lookup(
                        SESSIONS,
                        "#end_key = :end AND #ends_at <= :until",
                        {"end": key("END", str(shard)), "until": until},
                        index=BY_END,
                    ),
                    wanted,
                )
                for shard in range(END_SHARDS)
            )
        )
        ended = sorted((item for items in shards for item in items), key=lambda item: str(item["ends_at"]))
        rows = await self._sessions(ended[:wanted])
        return [row for row in rows if row.status != SessionStatus.EXPIRED]

    async def put_documents(self, documents: Sequence[DocumentRecord]) -> None:
        for (tenant_id, session_id), rows in groupby(sorted(documents, key=_session_of), key=_session_of):
            item = await self._session_item(tenant_id, session_id)
            # the documents of a session that was removed meanwhile do not come back
            if item:
                await self._put_documents(list(rows), item[GENERATION])

    async def list_documents(self, tenant_id: str, session_id: str) -> Sequence[DocumentRecord]:
        generation = await self._generation(tenant_id, session_id)
        while generation is not None:
            begin = key("DOC", generation, "")
            lookup = Lookup(
                DOCUMENTS,
                "#PK = :pk AND begins_with(#SK, :begin)",
                {"pk": key("SESSION", tenant_id, session_id), "begin": begin},
            )
            items = await self._dynamo.query(lookup)
            before, generation = generation, await self._generation(tenant_id, session_id)
            if generation != before:
                continue
            try:
                return await self._documents(items)
            except BlobNotFound:
                generation = await self._generation(tenant_id, session_id)
                if generation == before:
                    raise
        return []

    async def _generation(self, tenant_id: str, session_id: str) -> str | None:
        item = await self._session_item(tenant_id, session_id)
        return str(item[GENERATION]) if item else None

    async def _session_item(self, tenant_id: str, session_id: str) -> Item | None:
        return await self._dynamo.get(SESSIONS, *_session_key(tenant_id, session_id))

    async def _sessions(self, items: Sequence[Item]) -> list[SessionRecord]:
        """The sessions of items, without those that are gone."""
        found = await asyncio.gather(*(self._session(item) for item in items))
        return [session for session in found if session is not None]

    async def _session(self, item: Item) -> SessionRecord | None:
        record = await self._large.latest(
            item, lambda: self._dynamo.get(SESSIONS, item[PARTITION_KEY], item[SORT_KEY])
        )
        return SESSION.validate_json(record) if record is not None else None

    async def _documents(self, items: Sequence[Item]) -> list[DocumentRecord]:
        records = await asyncio.gather(*(self._large.read(item) for item in items))
        rows = [DOCUMENT.validate_json(record) for record in records]
        return sorted(rows, key=lambda row: row.document.doc_index)

    async def _row(self, session: SessionRecord) -> Item:
        partition, sort = _session_key(session.tenant_id, session.session_id)
        row = {
            PARTITION_KEY: partition,
            SORT_KEY: sort,
            "tenant_id": session.tenant_id,
            "session_id": session.session_id,
            "status": str(session.status),
            "age": age(session.created_at, session.session_id),
            "status_key": _status_key(session.tenant_id, session.status),
            **_ending(session),
            **await self._large.kept(f"{partition}/{sort}", SESSION.dump_json(session), INDEXED_INLINE_BYTES),
        }
        if session.fingerprint is not None:
            row["fingerprint_key"] = key("TENANT", session.tenant_id, session.fingerprint)
        return row

    async def _put_documents(self, documents: Iterable[DocumentRecord], generation: str) -> None:
        slots = asyncio.Semaphore(READS_AT_ONCE)

        async def item(row: DocumentRecord) -> Item:
            partition = key("SESSION", row.tenant_id, row.session_id)
            sort = key("DOC", generation, row.document.doc_id)
            async with slots:
                kept = await self._large.kept(f"{partition}/{sort}", DOCUMENT.dump_json(row))
            named = {"tenant_id": row.tenant_id, "doc_index": row.document.doc_index}
            return {PARTITION_KEY: partition, SORT_KEY: sort, **named, **kept}

        await self._dynamo.put_all(DOCUMENTS, await asyncio.gather(*(item(row) for row in documents)))

    async def _remove_documents(self, tenant_id: str, session_id: str, but: str | None = None) -> None:
        partition = key("SESSION", tenant_id, session_id)
        lookup = Lookup(
            DOCUMENTS, "#PK = :pk", {"pk": partition}, only=(PARTITION_KEY, SORT_KEY, "record_uri")
        )
        stays = key("DOC", but, "") if but else None
        items = [
            item
            for item in await self._dynamo.query(lookup)
            if stays is None or not item[SORT_KEY].startswith(stays)
        ]
        await self._large.drop(items)
        await self._dynamo.delete_all(DOCUMENTS, [(partition, item[SORT_KEY]) for item in items])


def _newest_sessions(tenant_id: str, status: SessionStatus | None, cursor: str | None) -> Lookup:
    if status is None:
        return Lookup(SESSIONS, index=BY_AGE, **newest("PK", key("TENANT", tenant_id), cursor))
    partition = _status_key(tenant_id, status)
    return Lookup(SESSIONS, index=BY_STATUS, **newest("status_key", partition, cursor))


def newest(partition: str, value: str, cursor: str | None) -> dict[str, Any]:
    """The lookup of rows of an index by age, newest first, after a cursor. Raises `ValidationFailed`."""
    keys, values = f"#{partition} = :partition", {"partition": value}
    last = after(cursor)
    if cursor:
        keys, values = f"{keys} AND #age < :age", {**values, "age": age(*last)}
    return {"keys": keys, "values": values, "newest_first": True}


def _session_key(tenant_id: str, session_id: str) -> tuple[str, str]:
    return key("TENANT", tenant_id), key("SESSION", session_id)


def _session_of(row: DocumentRecord) -> tuple[str, str]:
    return row.tenant_id, row.session_id


def _status_key(tenant_id: str, status: SessionStatus) -> str:
    return key("TENANT", tenant_id, str(status))


def _ending(session: SessionRecord) -> Item:
    if session.expires_at is None:
        return {}
    if session.status == SessionStatus.EXPIRED:
        return {TTL_ATTRIBUTE: int(max(session.expires_at, time.time()) + EXPIRED_ROW_SECONDS)}
    shard = crc32(session.session_id.encode()) % END_SHARDS
    return {"end_key": key("END", str(shard)), "ends_at": age(session.expires_at, session.session_id)}
