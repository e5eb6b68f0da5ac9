"""DynamoDB in the terms of the adapters: items as plain values, conditions, complete pages, whole batches.

Expressions name attributes as `#name` and values as `:name`; the maps are filled in here. There is no scan.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

from botocore.exceptions import ClientError

from rlm_rs.core.errors import StorageFailed
from rlm_rs.storage.aws.calls import (
    ATTEMPTS,
    CANCELLED,
    Calls,
    cancellation_reasons,
    code_of,
    pause_before_retry,
)
from rlm_rs.storage.aws.tables import PARTITION_KEY, SORT_KEY, Index, Table, table_name

Item = dict[str, Any]

BATCH_ITEMS = 25
BATCHES_AT_ONCE = 8
WRITTEN = "written"
"""The attribute that names the last conditional write: one whose reply was lost knows itself again by it."""
UNWRITTEN = f"(attribute_not_exists(#{WRITTEN}) OR #{WRITTEN} <> :{WRITTEN})"
_NAMED = re.compile(r"#(\w+)")


class ConditionFailed(Exception):
    """The item is not as it was to be. `item` is what stands there, None where nothing does."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("the condition of a write failed")
        self.item = item


@dataclass(frozen=True, slots=True)
class Lookup:
    """Items of one partition, in the order of their sort key, or that of an index.

    keys: the key condition. `filter` drops rows after they were read. Only a table's own rows are read
    consistently: an index follows its table by some milliseconds.
    """

    table: Table
    keys: str
    values: Mapping[str, Any]
    index: Index | None = None
    filter: str | None = None
    newest_first: bool = False
    only: tuple[str, ...] = field(default=())


class Dynamo:
    """The tables with one prefix."""

    def __init__(self, calls: Calls, prefix: str) -> None:
        self._calls = calls
        self._prefix = prefix

    async def get(self, table: Table, partition: str, sort: str) -> Item | None:
        """An item as the last write left it, or None."""
        answer = await self._calls(
            "get_item", TableName=self.name(table), Key=_key(partition, sort), ConsistentRead=True
        )
        return read(answer["Item"]) if "Item" in answer else None

    async def put(self, table: Table, item: Item, condition: str | None = None, **values: Any) -> Item | None:
        """Write an item; returns what it replaced. Raises `ConditionFailed`."""
        written = uuid4().hex
        arguments = {
            "TableName": self.name(table),
            "Item": wire(item | ({WRITTEN: written} if condition else {})),
            "ReturnValues": "ALL_OLD",
            **_expressions(values, ConditionExpression=condition),
        }
        answer = await self._conditional("put_item", arguments, written)
        return read(answer["Attributes"]) if answer.get("Attributes") else None

    async def update(
        self,
        table: Table,
        partition: str,
        sort: str,
        change: str,
        condition: str,
        returned: Literal["ALL_NEW", "ALL_OLD"] = "ALL_NEW",
        **values: Any,
    ) -> Item:
        """Change an item; returns it as it is then. `change` begins with SET. Raises `ConditionFailed`.

        returned: ALL_OLD for the item as it was, if the reply is not lost.
        """
        written = uuid4().hex
        arguments = {
            "TableName": self.name(table),
            "Key": _key(partition, sort),
            "ReturnValues": returned,
            **_expressions(
                {**values, WRITTEN: written},
                UpdateExpression=change.replace("SET ", f"SET #{WRITTEN} = :{WRITTEN}, ", 1),
                ConditionExpression=f"({condition}) AND {UNWRITTEN}",
            ),
        }
        return read((await self._conditional("update_item", arguments, written))["Attributes"])

    async def delete(
        self, table: Table, partition: str, sort: str, condition: str | None = None, **values: Any
    ) -> Item | None:
        """Remove an item; returns what stood there. Raises `ConditionFailed`."""
        arguments = {
            "TableName": self.name(table),
            "Key": _key(partition, sort),
            "ReturnValues": "ALL_OLD",
            **_expressions(values, ConditionExpression=condition),
        }
        answer = await self._conditional("delete_item", arguments, "")
        return read(answer["Attributes"]) if answer.get("Attributes") else None

    async def append(self, table: Table, item: Item, *, after: tuple[str, str] | None) -> None:
        """Add an item where none is, if there is one at `after`. Raises `ConditionFailed`."""
        actions: list[Mapping[str, Any]] = []
        if after is not None:
            exists = _expressions({}, ConditionExpression="attribute_exists(#PK)")
            actions.append({"ConditionCheck": {**self._at(table, *after), **exists}})
        free = _expressions({}, ConditionExpression="attribute_not_exists(#PK)")
        actions.append({"Put": {"TableName": self.name(table), "Item": wire(item), **free}})
        try:
            # the token makes a repeated request one: a reply that was lost is no other's write
            await self._calls("transact_write_items", TransactItems=actions, ClientRequestToken=uuid4().hex)
        except ClientError as error:
            if code_of(error) != CANCELLED:
                raise
            if any(r.get("Code") == "ConditionalCheckFailed" for r in cancellation_reasons(error)):
                raise ConditionFailed(None) from error
            raise StorageFailed(service="DynamoDB", operation="an append", reason=str(error)) from error

    async def query(self, lookup: Lookup, limit: int | None = None) -> list[Item]:
        """The first `limit` items of a lookup, or all, over as many pages as it takes."""
        found: list[Item] = []
        arguments = self._query_arguments(lookup)
        while True:
            if limit is not None and lookup.filter is None:
                arguments["Limit"] = limit - len(found)
            answer = await self._calls("query", **arguments)
            found += [read(item) for item in answer.get("Items", ())]
            if "LastEvaluatedKey" not in answer or (limit is not None and len(found) >= limit):
                return found[:limit]
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    async def count(self, lookup: Lookup) -> int:
        """How many items a lookup has."""
        total, arguments = 0, {**self._query_arguments(lookup), "Select": "COUNT"}
        while True:
            answer = await self._calls("query", **arguments)
            total += int(answer["Count"])
            if "LastEvaluatedKey" not in answer:
                return total
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    async def put_all(self, table: Table, items: Iterable[Item]) -> None:
        """Write items, each of which replaces its predecessor; not all or nothing."""
        await self._batches(table, [{"PutRequest": {"Item": wire(item)}} for item in items])

    async def delete_all(self, table: Table, keys: Iterable[tuple[str, str]]) -> None:
        """Remove items; not all or nothing."""
        await self._batches(table, [{"DeleteRequest": {"Key": _key(*key)}} for key in keys])

    def name(self, table: Table) -> str:
        """A table's name in the account."""
        return table_name(self._prefix, table)

    def _at(self, table: Table, partition: str, sort: str) -> dict[str, Any]:
        return {"TableName": self.name(table), "Key": _key(partition, sort)}

    def _query_arguments(self, lookup: Lookup) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "TableName": self.name(lookup.table),
            "ScanIndexForward": not lookup.newest_first,
            **_expressions(
                lookup.values,
                KeyConditionExpression=lookup.keys,
                FilterExpression=lookup.filter,
                ProjectionExpression=", ".join(f"#{name}" for name in lookup.only) or None,
            ),
        }
        if lookup.index:
            arguments["IndexName"] = lookup.index.name
        else:
            arguments["ConsistentRead"] = True
        return arguments

    async def _conditional(self, operation: str, arguments: dict[str, Any], written: str) -> dict[str, Any]:
        if "ConditionExpression" in arguments:
            arguments["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        try:
            return await self._calls(operation, **arguments)
        except ClientError as error:
            response: Mapping[str, Any] = error.response
            standing = read(response["Item"]) if response.get("Item") else None
            if standing and written and standing.get(WRITTEN) == written:
                return {"Attributes": response["Item"]} if operation == "update_item" else {}
            raise ConditionFailed(standing) from error

    async def _batches(self, table: Table, requests: Sequence[dict[str, Any]]) -> None:
        slots = asyncio.Semaphore(BATCHES_AT_ONCE)

        async def written(batch: Sequence[dict[str, Any]]) -> None:
            async with slots:
                await self._batch(self.name(table), batch)

        starts = range(0, len(requests), BATCH_ITEMS)
        await asyncio.gather(*(written(requests[start : start + BATCH_ITEMS]) for start in starts))

    async def _batch(self, name: str, requests: Sequence[dict[str, Any]]) -> None:
        """Write a batch, and what of it was not taken again, until nothing is left."""
        left = list(requests)
        for attempt in range(ATTEMPTS):
            answer = await self._calls("batch_write_item", RequestItems={name: left})
            left = answer.get("UnprocessedItems", {}).get(name, [])
            if not left:
                return
            await asyncio.sleep(pause_before_retry(attempt))
        raise StorageFailed(
            service="DynamoDB",
            operation="a batch",
            reason=f"{len(left)} items were not taken. Try again later.",
        )


def wire(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as DynamoDB takes it; attributes that are None are left out."""
    return {name: _wire_value(value) for name, value in item.items() if value is not None}


def read(item: Mapping[str, Any]) -> Item:
    """An item as plain values."""
    return {name: _plain_value(value) for name, value in item.items()}


def _wire_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, list | tuple):
        return {"L": [_wire_value(part) for part in value]}
    return {"S": str(value)}


def _plain_value(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind == "N":
        return int(content) if content.lstrip("-").isdigit() else float(content)
    if kind == "L":
        return [_plain_value(part) for part in content]
    if kind == "SS":
        return list(content)
    return None if kind == "NULL" else content


def _key(partition: str, sort: str) -> dict[str, Any]:
    return wire({PARTITION_KEY: partition, SORT_KEY: sort})


def _expressions(values: Mapping[str, Any], **expressions: str | None) -> dict[str, Any]:
    """Expressions with the maps of the names and values they mention."""
    given: dict[str, Any] = {name: text for name, text in expressions.items() if text}
    text = " ".join(given.values())
    names = {f"#{name}": name for name in _NAMED.findall(text)}
    if names:
        given["ExpressionAttributeNames"] = names
    if values:
        given["ExpressionAttributeValues"] = {
            f":{name}": _wire_value(value) for name, value in values.items()
        }
    return given
