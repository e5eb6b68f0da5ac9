"""Making what the AWS profile needs, where there is no stack to make it: emulators and first tries."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from botocore.exceptions import ClientError

from rlm_rs.core.errors import StorageFailed
from rlm_rs.storage.aws.account import Account
from rlm_rs.storage.aws.calls import code_of
from rlm_rs.storage.aws.tables import (
    MAX_RECEIVES,
    QUEUES,
    TABLES,
    TTL_ATTRIBUTE,
    VISIBILITY_SECONDS,
    WAKE_UP_RETENTION_SECONDS,
    Queue,
    Table,
    table_name,
    table_properties,
)

CLOSED = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
THERE_ALREADY = frozenset({"ResourceInUseException", "BucketAlreadyOwnedByYou"})


async def provision(account: Account, prefix: str, bucket: str) -> list[str]:
    """Create every table, queue and the bucket that is missing; returns what was there or is now.

    Raises `StorageFailed` for what the account refuses.
    """
    dynamodb, s3, sqs = (account.client(name) for name in ("dynamodb", "s3", "sqs"))
    made = [asyncio.to_thread(_table, dynamodb, prefix, table) for table in TABLES]
    made += [asyncio.to_thread(_queue, sqs, prefix, queue) for queue in QUEUES]
    made.append(asyncio.to_thread(_bucket, s3, bucket, account.session.region_name or ""))
    try:
        return list(await asyncio.gather(*made))
    except ClientError as error:
        raise StorageFailed(
            service="AWS", operation=error.operation_name, reason=f"{code_of(error)}: {error}"
        ) from error


def _table(client: Any, prefix: str, table: Table) -> str:
    name = table_name(prefix, table)
    _unless_there(client.create_table, **table_properties(prefix, table))
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    if table.expires and not expires(client, name):
        expiry = {"Enabled": True, "AttributeName": TTL_ATTRIBUTE}
        client.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)
    return f"table {name}"


def expires(client: Any, name: str) -> bool:
    """Whether a table's items expire by TTL_ATTRIBUTE."""
    found = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    enabled = found.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    return enabled and found.get("AttributeName") == TTL_ATTRIBUTE


def _queue(client: Any, prefix: str, queue: Queue) -> str:
    dead = client.create_queue(
        QueueName=queue.dead_letter_name(prefix),
        Attributes={"MessageRetentionPeriod": str(WAKE_UP_RETENTION_SECONDS)},
    )["QueueUrl"]
    arn = client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": str(MAX_RECEIVES)})
    attributes = {
        "VisibilityTimeout": str(VISIBILITY_SECONDS),
        "MessageRetentionPeriod": str(WAKE_UP_RETENTION_SECONDS),
        "RedrivePolicy": redrive,
    }
    client.create_queue(QueueName=queue.name(prefix), Attributes=attributes)
    return f"queue {queue.name(prefix)}"


def _bucket(client: Any, bucket: str, region: str) -> str:
    # this one region is named by saying nothing
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    _unless_there(client.create_bucket, Bucket=bucket, **place)
    client.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(CLOSED, True))
    return f"bucket {bucket}"


def _unless_there(create: Any, **arguments: Any) -> None:
    try:
        create(**arguments)
    except ClientError as error:
        if code_of(error) not in THERE_ALREADY:
            raise
