"""The journal in DynamoDB: an event is an item that is put only once, and only after the one before it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rlm_rs.core.errors import Fenced
from rlm_rs.storage.aws.dynamo import ConditionFailed, Dynamo, Lookup
from rlm_rs.storage.aws.large import LargeRecords
from rlm_rs.storage.aws.places import key
from rlm_rs.storage.aws.tables import EXECUTION_STATE, PARTITION_KEY, SORT_KEY

LAST = "EVENT#~"


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
        return await asyncio.gather(*(self._large.read(item) for item in items))

    async def delete(self, execution_id: str) -> None:
        lookup = Lookup(
            EXECUTION_STATE,
            "#PK = :pk",
            {"pk": key("EXEC", execution_id)},
            only=(PARTITION_KEY, SORT_KEY, "record_uri"),
        )
        # again until nothing is found: a worker may append while this goes on, but not after
        while items := await self._dynamo.query(lookup):
            await self._large.drop(items)
            await self._dynamo.delete_all(
                EXECUTION_STATE, [(item[PARTITION_KEY], item[SORT_KEY]) for item in items]
            )


def _event(seq: int) -> str:
    return f"EVENT#{seq:020}"
