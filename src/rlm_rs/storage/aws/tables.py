"""What the AWS profile keeps where: every table, index and queue, as plain data.

This is the one definition. `provision.py` creates from it, `check.py` compares an account with it, and the
template of the stack is held to it by a test. Names stand without the prefix (DDB_TABLE_PREFIX).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

PARTITION_KEY, SORT_KEY = "PK", "SK"
TTL_ATTRIBUTE = "ttl_epoch"
MAX_RECEIVES = 100
"""Times a wake-up is received before it moves to the dead-letter queue."""
VISIBILITY_SECONDS = 60
WAKE_UP_RETENTION_SECONDS = 14 * 24 * 3600

AttributeType = Literal["S", "N"]


@dataclass(frozen=True, slots=True)
class Index:
    """A global secondary index of all attributes. sort_type: how `sort` is stored."""

    name: str
    partition: str
    sort: str
    sort_type: AttributeType = "S"


@dataclass(frozen=True, slots=True)
class Table:
    """A table with string keys PK and SK, billed per request. expires: it uses TTL_ATTRIBUTE."""

    name: str
    indexes: tuple[Index, ...] = ()
    expires: bool = False


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of wake-ups for one kind of work, and the queue its poison goes to."""

    kind: str

    def name(self, prefix: str) -> str:
        """The queue's name."""
        return f"{prefix}-{self.kind}"

    def dead_letter_name(self, prefix: str) -> str:
        """The name of its dead-letter queue."""
        return f"{prefix}-{self.kind}-dead"


SESSIONS = Table(
    "sessions",
    (
        Index("by_age", PARTITION_KEY, "age"),
        Index("by_status", "status_key", "age"),
        Index("by_fingerprint", "fingerprint_key", "age"),
        Index("by_end", "end_key", "ends_at"),
    ),
    expires=True,
)
DOCUMENTS = Table("documents")
EXECUTIONS = Table(
    "executions",
    (
        Index("by_id", "id_key", "age"),
        Index("by_age", "tenant_key", "age"),
        Index("by_status", "status_key", "age"),
    ),
)
EXECUTION_STATE = Table("execution_state")
EVALUATIONS = Table("evaluations")
API_KEYS = Table("api_keys", (Index("by_tenant", "tenant_key", "age"), Index("by_age", "all_key", "age")))
AUDIT_LOG = Table("audit_log")
WORK = Table(
    "work",
    (Index("by_wait", PARTITION_KEY, "waiting"), Index("by_lease", "lease_key", "lease_until", "N")),
)
IDEMPOTENCY = Table("idempotency", expires=True)
RATES = Table("rates", expires=True)

TABLES = (
    SESSIONS,
    DOCUMENTS,
    EXECUTIONS,
    EXECUTION_STATE,
    EVALUATIONS,
    API_KEYS,
    AUDIT_LOG,
    WORK,
    IDEMPOTENCY,
    RATES,
)
QUEUES = (Queue("ingestion"), Queue("execution"), Queue("evaluation"))


def table_name(prefix: str, table: Table) -> str:
    """A table's name in the account."""
    return f"{prefix}_{table.name}"


def table_properties(prefix: str, table: Table) -> dict[str, Any]:
    """A table as CreateTable takes it and as AWS::DynamoDB::Table has it in a template, without its TTL."""
    types = {PARTITION_KEY: "S", SORT_KEY: "S"}
    for index in table.indexes:
        types |= {index.partition: "S", index.sort: index.sort_type}
    properties: dict[str, Any] = {
        "TableName": table_name(prefix, table),
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": type_} for name, type_ in sorted(types.items())
        ],
        "KeySchema": _key_schema(PARTITION_KEY, SORT_KEY),
    }
    if table.indexes:
        properties["GlobalSecondaryIndexes"] = [_index_properties(index) for index in table.indexes]
    return properties


def _index_properties(index: Index) -> dict[str, Any]:
    return {
        "IndexName": index.name,
        "KeySchema": _key_schema(index.partition, index.sort),
        "Projection": {"ProjectionType": "ALL"},
    }


def _key_schema(partition: str, sort: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]
