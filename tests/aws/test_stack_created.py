"""The stack's template, created on the emulator."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from rlm_rs.storage.aws.account import Account
from rlm_rs.storage.aws.tables import QUEUES, TABLES, table_name
from rlm_rs.testing.aws_emulator import AwsEmulator

TEMPLATE = Path(__file__).parents[2] / "infra" / "template.yaml"
UNKNOWN = "AWS::ApplicationAutoScaling::"
"""What the emulator does not know, so that it is left out; it takes no part in what the others are."""
EMPTY_ZIP = b"PK\x05\x06" + bytes(18)
SECONDS = 60.0


def without_unknown(text: str) -> str:
    head, resources, outputs = re.split(r"(?m)^(?:Resources|Outputs):\n", text)
    blocks = re.split(r"(?m)^(?=  [A-Za-z]+:\n)", resources)
    kept = "".join(block for block in blocks if UNKNOWN not in block)
    return f"{head}Resources:\n{kept}Outputs:\n{outputs}"


@pytest.fixture
def stack(account: Account, emulator: AwsEmulator, bucket: str) -> dict[str, Any]:
    """A stack, once nothing goes on any more. Its template is too long for a call: it lies in the bucket."""
    name = f"s{uuid4().hex[:8]}"
    s3, formation = account.client("s3"), account.client("cloudformation")
    s3.put_object(Bucket=bucket, Key="sandbox.zip", Body=EMPTY_ZIP)
    s3.put_object(Bucket=bucket, Key="template.yaml", Body=without_unknown(TEMPLATE.read_text()).encode())
    given = {
        "Prefix": name,
        "Release": "0-1-0",
        "ImageUri": "000000000000.dkr.ecr.eu-central-1.amazonaws.com/rlm@sha256:0",
        "SandboxCodeBucket": bucket,
        "SandboxCodeKey": "sandbox.zip",
        "S3PrefixListId": "pl-6ea54007",
    }
    formation.create_stack(
        StackName=name,
        TemplateURL=f"{emulator.endpoint}/{bucket}/template.yaml",
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        (found,) = formation.describe_stacks(StackName=name)["Stacks"]
        if not found["StackStatus"].endswith("IN_PROGRESS"):
            break
        time.sleep(0.1)
    return dict(found)


def test_it_is_created_with_all_that_the_service_needs(stack: dict[str, Any], account: Account) -> None:
    assert (stack["StackStatus"], stack.get("StackStatusReason", "")) == ("CREATE_COMPLETE", "")
    prefix = stack["StackName"]
    pages = account.client("dynamodb").get_paginator("list_tables").paginate()
    tables = {name for page in pages for name in page["TableNames"]}
    assert {table_name(prefix, table) for table in TABLES} <= tables
    sqs = account.client("sqs")
    for queue in QUEUES:
        assert sqs.get_queue_url(QueueName=queue.name(prefix))["QueueUrl"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    assert account.client("lambda").get_function(FunctionName=outputs["FunctionName"])
    secret = account.client("secretsmanager").get_secret_value(SecretId=f"{prefix}/pepper")
    assert len(secret["SecretString"]) == 64
    services = account.client("ecs").list_services(cluster=prefix)["serviceArns"]
    assert {arn.rpartition("/")[2] for arn in services} == {"api", "orchestrator", "ingestion", "parser"}
