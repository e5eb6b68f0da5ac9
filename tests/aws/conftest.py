"""One AWS emulator for all tests of this folder, which `make test-aws` names in RLM_AWS_EMULATOR.

Each xdist worker has its own. Without the variable nothing is collected: there is nothing to test against.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from rlm_rs.storage.aws.account import Account
from rlm_rs.storage.aws.blobs import S3Blobs
from rlm_rs.storage.aws.dynamo import Dynamo
from rlm_rs.storage.aws.large import LargeRecords
from rlm_rs.storage.aws.provision import provision
from rlm_rs.testing.aws_emulator import AwsEmulator

EMULATOR = os.environ.get("RLM_AWS_EMULATOR")
collect_ignore_glob = [] if EMULATOR else ["test_*.py"]


@pytest.fixture(scope="session")
def emulator() -> Iterator[AwsEmulator]:
    """A running emulator."""
    assert EMULATOR
    with AwsEmulator(Path(EMULATOR)) as started:
        yield started


@pytest.fixture(scope="session")
def account(emulator: AwsEmulator) -> Account:
    """An account in it."""
    return Account(region="eu-central-1", endpoint=emulator.endpoint)


@pytest.fixture(scope="session")
def bucket(account: Account) -> str:
    """A bucket that tests share."""
    name = f"rlm-{uuid4().hex[:12]}"
    account.client("s3").create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    return name


@pytest.fixture
def prefix(account: Account, bucket: str) -> str:
    """The prefix of tables and queues made for one test."""
    name = f"t{uuid4().hex[:10]}"
    asyncio.run(provision(account, name, bucket))
    return name


@pytest.fixture
async def dynamo(account: Account, prefix: str) -> AsyncIterator[Dynamo]:
    """The tables of one test."""
    calls = account.calls("dynamodb", "DynamoDB")
    yield Dynamo(calls, prefix)
    await calls.close()


@pytest.fixture
def large(account: Account, bucket: str) -> LargeRecords:
    """Where records too large for an item go."""
    return LargeRecords(S3Blobs(account.bucket), bucket)
