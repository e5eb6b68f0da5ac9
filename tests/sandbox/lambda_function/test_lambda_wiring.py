"""SANDBOX_RUNNER=lambda: from settings to a step in the function, or to one line that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlm_rs.core.errors import SettingInvalid
from rlm_rs.runners.lambda_runner import LambdaRunner
from rlm_rs.settings import Settings, load_settings
from rlm_rs.storage.aws.blobs import S3Blobs
from rlm_rs.storage.aws.links import S3Links
from rlm_rs.testing.lambda_service import LambdaService
from rlm_rs.wiring import wire
from rlm_rs.wiring.aws import account_of


def settings(folder: Path, **changes: object) -> Settings:
    named = {
        "rlm_profile": "aws",
        "rlm_data_dir": folder,
        "s3_bucket": "some-bucket",
        "aws_region": "eu-central-1",
        "aws_endpoint_url": "http://127.0.0.1:9",
        "api_key_pepper": "pepper",
        "sandbox_runner": "lambda",
        "sandbox_lambda_function_name": "rlm-sandbox",
    }
    return load_settings(**{**named, **changes})


def test_a_function_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match="SANDBOX_LAMBDA_FUNCTION_NAME"):
        wire(settings(tmp_path, sandbox_lambda_function_name=None))


def test_documents_must_be_in_s3(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match="the function reads documents from S3"):
        wire(settings(tmp_path, rlm_profile="embedded"))


async def test_the_client_made_from_settings_calls_the_function(
    tmp_path: Path, service: LambdaService
) -> None:
    wiring = wire(settings(tmp_path, aws_endpoint_url=service.endpoint))
    runner = wiring.ports.sandbox
    assert isinstance(runner, LambdaRunner)
    assert "seccomp" in await wiring.sandbox_layers()
    assert all(check.held for check in await wiring.sandbox_proof())
    await wiring.close()


async def test_links_are_signed_and_end(tmp_path: Path) -> None:
    account = account_of(settings(tmp_path))
    uri = "s3://some-bucket/parsed/a tenant/text.txt"
    (link,) = await S3Links(S3Blobs(account.bucket).place).links([uri], 240)
    assert link.startswith("http://127.0.0.1:9/some-bucket/parsed/a%20tenant/text.txt?")
    assert "X-Amz-Expires=240" in link
    assert "X-Amz-Signature=" in link
