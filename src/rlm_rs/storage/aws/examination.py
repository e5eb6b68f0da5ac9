"""What stands in an AWS account, looked at piece by piece. Nothing is changed but one probe object.

Every look returns what was found in words and raises `StorageFailed` or `Unfit` for what is missing or not as
the service needs it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from rlm_rs.core.errors import RlmError
from rlm_rs.storage.aws.account import Account
from rlm_rs.storage.aws.blobs import S3Blobs
from rlm_rs.storage.aws.calls import code_of
from rlm_rs.storage.aws.network import ways_out
from rlm_rs.storage.aws.provision import expires
from rlm_rs.storage.aws.tables import Table, table_name, table_properties

T = TypeVar("T")

ATTEMPTS = 3
MOST_SKEW_SECONDS = 60.0
"""AWS refuses requests whose time is five minutes off; leases need much less."""
CLASSIC_REGION = "us-east-1"


class Unfit(RlmError):
    """{reason}"""


class Examination:
    """An account, and the names of what the service keeps in it."""

    def __init__(self, account: Account, prefix: str, bucket: str) -> None:
        self._account = account
        self._prefix = prefix
        self._bucket = bucket

    async def region(self) -> str:
        """The region in force."""
        return f"{self._account.session.region_name}{self._at()}"

    async def identity(self) -> str:
        """Who asks: the ARN of the credentials in force."""
        return str((await self._asked("sts", "get_caller_identity"))["Arn"])

    async def clock(self) -> str:
        """How far this machine's clock is from AWS's."""
        before = time.time()
        answer = await self._asked("sts", "get_caller_identity")
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        try:
            theirs = parsedate_to_datetime(date).timestamp()
        except ValueError as error:
            raise Unfit(reason=f"AWS did not say what time it is ({date!r})") from error
        skew = abs((before + time.time()) / 2 - theirs)
        if skew > MOST_SKEW_SECONDS:
            raise Unfit(reason=f"this machine's clock is {skew:.0f} s off")
        return f"within {max(1.0, skew):.0f} s of AWS's"

    async def table(self, table: Table) -> str:
        """A table, its keys, its indexes and its expiry."""
        name = table_name(self._prefix, table)
        found = (await self._asked("dynamodb", "describe_table", TableName=name))["Table"]
        wanted = table_properties(self._prefix, table)
        if found["TableStatus"] not in ("ACTIVE", "UPDATING"):
            raise Unfit(reason=f"{name} is {found['TableStatus']}")
        if _keys(found) != _keys(wanted):
            raise Unfit(reason=f"{name} has other keys than {' and '.join(_keys(wanted))}")
        _check_indexes(name, found, wanted)
        if table.expires and not await self._in_thread(lambda: expires(self._client("dynamodb"), name)):
            raise Unfit(reason=f"{name} keeps what has expired: its time to live is off")
        count = len(table.indexes)
        return f"keys as they should be, {count} index{'' if count == 1 else 'es'}"

    async def bucket(self) -> str:
        """The bucket: in this region, and an object can be written once, read and removed."""
        where = await self._asked("s3", "get_bucket_location", Bucket=self._bucket)
        region = where.get("LocationConstraint") or CLASSIC_REGION
        if region != self._account.session.region_name and not self._account.endpoint:
            raise Unfit(reason=f"{self._bucket} is in {region}: every read leaves the region and is charged")
        await self._probe()
        return f"{self._bucket}: an object was written, read and removed"

    async def bucket_privacy(self) -> str:
        """That no policy can open the bucket to the public."""
        try:
            found = await self._asked("s3", "get_public_access_block", Bucket=self._bucket)
        except Unfit as error:
            if error.details.get("code") != "NoSuchPublicAccessBlockConfiguration":
                raise
            found = {}
        closed = found.get("PublicAccessBlockConfiguration", {})
        if not closed or not all(closed.values()):
            raise Unfit(reason=f"{self._bucket} may be opened to the public")
        return f"{self._bucket} is closed to the public"

    async def queue(self, name: str) -> str:
        """A queue of wake-ups and where its poison goes."""
        url = (await self._asked("sqs", "get_queue_url", QueueName=name))["QueueUrl"]
        found = await self._asked("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["All"])
        attributes: Mapping[str, str] = found.get("Attributes", {})
        redrive = json.loads(attributes.get("RedrivePolicy") or "{}")
        if not redrive.get("deadLetterTargetArn"):
            raise Unfit(reason=f"{name} has no dead-letter queue")
        dead = redrive["deadLetterTargetArn"].rpartition(":")[2]
        waiting = attributes.get("ApproximateNumberOfMessages", "?")
        return f"{name}: {waiting} waiting; poison goes to {dead} after {redrive['maxReceiveCount']} receipts"

    async def function(self, name: str) -> str:
        """The function that runs steps is there and can be called."""
        found = await self._configuration(name)
        state = found.get("State", "Active")
        if state not in ("Active", "Inactive"):
            raise Unfit(reason=f"{name} is {state}: {found.get('StateReason', 'no reason given')}")
        return f"{name}: {found['Runtime']}, {found['MemorySize']} MB, {found['Timeout']} s"

    async def egress(self, name: str) -> str:
        """That the function can reach nothing outside its subnets but what they name."""
        place = (await self._configuration(name)).get("VpcConfig") or {}
        subnets = list(place.get("SubnetIds") or ())
        if not subnets:
            raise Unfit(reason=f"{name} runs outside a VPC, and so on the internet")
        out = await self._in_thread(lambda: ways_out(self._client("ec2"), subnets))
        if out:
            raise Unfit(reason=f"{name} can leave its subnets by {', '.join(out)}")
        return f"{name} is in {', '.join(subnets)}, which lead nowhere outside"

    async def secret(self, arn: str) -> str:
        """That a secret can be read; its value is not looked at."""
        found = await self._asked("secretsmanager", "describe_secret", SecretId=arn)
        await self._asked("secretsmanager", "get_secret_value", SecretId=arn)
        return f"{found['Name']} can be read"

    async def _probe(self) -> None:
        blobs, uri = S3Blobs(self._account.bucket), f"s3://{self._bucket}/health/{uuid4().hex}"
        await blobs.put(uri, b"written")
        try:
            await blobs.put(uri, b"again")
            if await blobs.get(uri, 0, 7) != b"written":
                raise Unfit(
                    reason=f"{self._bucket} lets an object be overwritten that was to be written once"
                )
        finally:
            await blobs.delete(uri)

    async def _configuration(self, name: str) -> dict[str, Any]:
        function, _, qualifier = name.partition(":")
        version = {"Qualifier": qualifier} if qualifier and not name.startswith("arn:") else {}
        named = function if version else name
        return await self._asked("lambda", "get_function_configuration", FunctionName=named, **version)

    async def _asked(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        found: dict[str, Any] = await self._in_thread(
            lambda: getattr(self._client(service), operation)(**arguments)
        )
        return found

    async def _in_thread(self, ask: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(ask)
        except ClientError as error:
            said = error.response.get("Error", {}).get("Message", "")
            raise Unfit(reason=f"{code_of(error)}: {said}", code=code_of(error)) from error
        except BotoCoreError as error:
            raise Unfit(reason=str(error)) from error

    def _client(self, service: str) -> Any:
        return self._account.client(service, attempts=ATTEMPTS)

    def _at(self) -> str:
        return f" at {self._account.endpoint}" if self._account.endpoint else ""


def _keys(table: Mapping[str, Any]) -> list[str]:
    return [part["AttributeName"] for part in table["KeySchema"]]


def _check_indexes(name: str, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    there = {index["IndexName"]: index for index in found.get("GlobalSecondaryIndexes") or ()}
    for index in wanted.get("GlobalSecondaryIndexes", ()):
        known = there.get(index["IndexName"])
        if known is None:
            raise Unfit(reason=f"{name} has no index {index['IndexName']}")
        if _keys(known) != _keys(index) or known["Projection"]["ProjectionType"] != "ALL":
            raise Unfit(reason=f"index {index['IndexName']} of {name} is another than the service needs")
        if known.get("IndexStatus", "ACTIVE") != "ACTIVE":
            raise Unfit(reason=f"index {index['IndexName']} of {name} is {known['IndexStatus']}")
