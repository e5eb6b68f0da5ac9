"""Journal, catalog and blobs of the AWS profile keep the contracts, over a socket to an emulator."""

from __future__ import annotations

from uuid import uuid4

import pytest

from rlm_rs.core.errors import BlobChanged
from rlm_rs.core.ports import Blobs, Catalog, Journal
from rlm_rs.storage.aws.account import Account
from rlm_rs.storage.aws.blobs import S3Blobs
from rlm_rs.storage.aws.catalog import DynamoCatalog
from rlm_rs.storage.aws.dynamo import Dynamo
from rlm_rs.storage.aws.journal import DynamoJournal
from rlm_rs.storage.aws.large import LargeRecords
from rlm_rs.testing.blobs_contract import BlobsContract
from rlm_rs.testing.catalog_contract import CatalogContract
from rlm_rs.testing.journal_contract import JournalContract


class TestDynamoJournal(JournalContract):
    @pytest.fixture
    def journal(self, dynamo: Dynamo, large: LargeRecords) -> Journal:
        return DynamoJournal(dynamo, large)


class TestDynamoCatalog(CatalogContract):
    @pytest.fixture
    def catalog(self, dynamo: Dynamo, large: LargeRecords) -> Catalog:
        return DynamoCatalog(dynamo, large)


class TestS3Blobs(BlobsContract):
    @pytest.fixture
    def blobs(self, account: Account) -> Blobs:
        s3 = account.client("s3")
        for bucket in ("bucket", "second", "other"):
            emptied(s3, bucket)
        return S3Blobs(account.bucket)

    async def test_an_older_version_is_streamed_where_the_bucket_keeps_it(self, account: Account) -> None:
        s3, bucket = account.client("s3"), f"versions-{uuid4().hex[:12]}"
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        old, now = (s3.put_object(Bucket=bucket, Key="a", Body=body) for body in (b"old", b"now"))
        blobs, uri = S3Blobs(account.bucket), f"s3://{bucket}/a"

        async def streamed(version_id: str | None, etag: str | None) -> bytes:
            return b"".join([c async for c in blobs.stream(uri, version_id=version_id, etag=etag)])

        assert await streamed(old["VersionId"], old["ETag"]) == b"old"
        assert await streamed(None, now["ETag"]) == b"now"
        with pytest.raises(BlobChanged, match="its ETag"):
            await streamed(old["VersionId"], now["ETag"])
        s3.delete_object(Bucket=bucket, Key="a", VersionId=old["VersionId"])
        with pytest.raises(BlobChanged, match="no version"):
            await streamed(old["VersionId"], None)


def emptied(s3: object, bucket: str) -> None:
    """Make a bucket, or empty it."""
    names = {found["Name"] for found in s3.list_buckets()["Buckets"]}
    if bucket not in names:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        return
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", ()):
            s3.delete_object(Bucket=bucket, Key=item["Key"])
