"""Steps in the function's real runtime, over documents in the emulator's S3, read by presigned URLs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import boto3
import pytest

from rlm_rs.core.errors import LambdaFailed
from rlm_rs.runners.lambda_calls import LambdaCalls, client_of
from rlm_rs.runners.lambda_runner import LambdaConfig, LambdaRunner, Stored
from rlm_rs.runners.stored_image import StoredImages
from rlm_rs.sandbox.fetched import BLOCK_BYTES
from rlm_rs.storage.aws.account import Account
from rlm_rs.storage.aws.blobs import S3Blobs
from rlm_rs.storage.aws.links import S3Links
from rlm_rs.testing.lambda_service import LambdaService, linked_task_root
from rlm_rs.testing.sandbox_contract import request, stored_corpus

TEXTS = ["größer " * 5_000, "hay " * (2 * BLOCK_BYTES // 4) + "the needle"]


@pytest.fixture
def blobs(account: Account) -> S3Blobs:
    """Blobs, with the bucket that the contract's documents lie in."""
    where = {"LocationConstraint": "eu-central-1"}
    with suppress(account.client("s3").exceptions.BucketAlreadyOwnedByYou):
        account.client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration=where)
    return S3Blobs(account.bucket)


@pytest.fixture
async def runner(blobs: S3Blobs, tmp_path: Path, bucket: str) -> AsyncIterator[LambdaRunner]:
    session = boto3.session.Session("test", "test", region_name="eu-central-1")
    images = StoredImages(blobs, bucket, tmp_path / "spool")
    root = tmp_path / "task"
    root.mkdir()
    async with LambdaService(linked_task_root(root)) as service:
        calls = LambdaCalls(client_of(session, service.endpoint, 40, 8), "rlm-sandbox", threads=8)
        runner = LambdaRunner(calls, Stored(blobs, S3Links(blobs.place), images), LambdaConfig(bucket))
        yield runner
        await runner.close()


async def test_texts_are_read_by_ranges_of_presigned_urls(runner: LambdaRunner, blobs: S3Blobs) -> None:
    corpus = await stored_corpus(blobs, TEXTS)
    code = "print(context[0][34_993:34_999], context[1].find('needle'), context[1][-6:])"
    result = await runner.run(request(code), corpus)
    at = len(TEXTS[1]) - 6
    assert result.stdout == f"größer [{{'start_char': {at}, 'end_char': {at + 6}}}] needle\n"
    await blobs.delete(corpus.documents[1].text_s3_uri or "")
    again = await runner.run(request("print(context[1][-6:])", turn=1), corpus)
    assert again.stdout == "needle\n"


async def test_a_text_that_is_gone_is_named_as_that(runner: LambdaRunner, blobs: S3Blobs) -> None:
    corpus = await stored_corpus(blobs, ["x" * (2 << 20)])
    await blobs.delete(corpus.documents[0].text_s3_uri or "")
    with pytest.raises(LambdaFailed, match="404"):
        await runner.run(request("context[0][:5]"), corpus)
