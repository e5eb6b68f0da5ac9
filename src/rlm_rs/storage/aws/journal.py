"""The journal in DynamoDB: an event is an item that is put only once, and only after the one before it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rlm_rs.core.errors import BlobNotFound, Fenced
from rlm_rs.storage.aws.dynamo import ConditionFailed, Dynamo, Lookup
from rlm_rs.storage.aws.large import LargeRecords
from rlm_rs.storage.aws.places import key
from rlm_rs.storage.aws.tables import EXECUTION_STATE, PARTITION_KEY, SORT_KEY

LAST = "EVENT#~"
REMOVAL = "REMOVAL"
"""Stands beside the events while their objects are removed: a record that is missing then is no loss."""


class DynamoJournal:
    """`core.ports.Journal` in the table execution_state: `EXEC#… / EVENT#seq`.

    One transaction checks that the event before is there and puts this one where none is: of two workers one
    is told that it is behind, and a journal that was removed cannot be gone on with.
    """

    def __init__(self, dynamo: Dynamo, large: LargeRecords) -> None:
        self._dynamo = dynamo
        self._large = large

    async def append(self, execution_id: str, seq: int, record: bytes) -> None:
        if seq < 0:
            raise Fenced(execution_id=execution_id)
        partition = key("EXEC", execution_id)
        kept = await self._large.kept(f"{partition}/{seq}", record)
        item = {PARTITION_KEY: partition, SORT_KEY: _event(seq), "execution_id": execution_id, **kept}
        try:
            before = (partition, _event(seq - 1)) if seq else None
            await self._dynamo.append(EXECUTION_STATE, item, after=before)
        except ConditionFailed as error:
            raise Fenced(execution_id=execution_id) from error

    async def read(self, execution_id: str, start: int = 0) -> Sequence[bytes]:
        lookup = Lookup(
            EXECUTION_STATE,
            "#PK = :pk AND #SK BETWEEN :first AND :last",
            {"pk": key("EXEC", execution_id), "first": _event(start), "last": LAST},
        )
        items = await self._dynamo.query(lookup)
        while True:
            try:
                return await asyncio.gather(*(self._large.read(item) for item in items))
            except BlobNotFound:
                # in this order: when the removal is over, so are the rows
                if await self._is_being_removed(execution_id):
                    return []
                before, items = items, await self._dynamo.query(lookup)
                if items == before:
                    raise

    async def delete(self, execution_id: str) -> None:
        partition = key("EXEC", execution_id)
        lookup = Lookup(
            EXECUTION_STATE,
            "#PK = :pk",
            {"pk": partition},
            only=(PARTITION_KEY, SORT_KEY, "record_uri"),
        )
        # again until nothing is found: a worker may append while this goes on, but not after
        while items := await self._dynamo.query(lookup):
            events = [item for item in items if item[SORT_KEY] != REMOVAL]
            if any("record_uri" in item for item in events):
                await self._dynamo.put(EXECUTION_STATE, {PARTITION_KEY: partition, SORT_KEY: REMOVAL})
            await self._large.drop(events)
            gone = events or items
            await self._dynamo.delete_all(EXECUTION_STATE, [(partition, item[SORT_KEY]) for item in gone])

    async def _is_being_removed(self, execution_id: str) -> bool:
        return await self._dynamo.get(EXECUTION_STATE, key("EXEC", execution_id), REMOVAL) is not None


def _event(seq: int) -> str:
    return f"EVENT#{seq:020}"
