"""Tables and queues of the template are those that the code uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

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

PREFIX = "${Prefix}"
OfType = Callable[[str], dict[str, dict[str, Any]]]


def named(found: dict[str, dict[str, Any]], key: str, name: str) -> dict[str, Any]:
    (properties,) = [each for each in found.values() if each[key] == {"Fn::Sub": name}]
    return properties


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_is_as_the_code_defines_it(of_type: OfType, table: Table) -> None:
    properties = dict(named(of_type("AWS::DynamoDB::Table"), "TableName", table_name(PREFIX, table)))
    expiry = properties.pop("TimeToLiveSpecification", None)
    properties.pop("PointInTimeRecoverySpecification")
    assert expiry == ({"AttributeName": TTL_ATTRIBUTE, "Enabled": True} if table.expires else None)
    assert properties | {"TableName": None} == table_properties(PREFIX, table) | {"TableName": None}


def test_there_are_no_other_tables_or_queues(of_type: OfType) -> None:
    assert len(of_type("AWS::DynamoDB::Table")) == len(TABLES)
    assert len(of_type("AWS::SQS::Queue")) == 2 * len(QUEUES)


@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.kind)
def test_a_queue_is_as_the_code_defines_it(of_type: OfType, queue: Queue) -> None:
    queues = of_type("AWS::SQS::Queue")
    properties = named(queues, "QueueName", queue.name(PREFIX))
    dead = named(queues, "QueueName", queue.dead_letter_name(PREFIX))
    assert properties["VisibilityTimeout"] == VISIBILITY_SECONDS
    assert properties["RedrivePolicy"]["maxReceiveCount"] == MAX_RECEIVES
    (target, _) = properties["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"]
    assert queues[target] is dead
    assert {each["MessageRetentionPeriod"] for each in (properties, dead)} == {WAKE_UP_RETENTION_SECONDS}


def test_what_is_kept_survives_the_stack(resources: dict[str, dict[str, Any]]) -> None:
    keeping = ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SecretsManager::Secret")
    kept = [each for each in resources.values() if each["Type"] in keeping]
    assert {each["DeletionPolicy"] for each in kept} == {"RetainExceptOnCreate"}
    assert {each["UpdateReplacePolicy"] for each in kept} == {"Retain"}


def test_the_bucket_is_private_and_encrypted(of_type: OfType) -> None:
    (bucket,) = of_type("AWS::S3::Bucket").values()
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]
    (policy,) = of_type("AWS::S3::BucketPolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == (
        "Deny",
        {"Bool": {"aws:SecureTransport": "false"}},
    )
