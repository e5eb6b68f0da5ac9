"""What the AWS profile needs of the settings, and secrets that are read at start."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aws_service import REGION, programs

from rlm_rs.core.errors import SettingInvalid
from rlm_rs.settings import Settings, load_settings
from rlm_rs.storage.aws.account import Account
from rlm_rs.testing.aws_emulator import AwsEmulator
from rlm_rs.wiring import stored_keys, wire
from rlm_rs.wiring.secrets import with_secrets

Given = Callable[..., Settings]


@pytest.fixture
def given(emulator: AwsEmulator, tmp_path: Path) -> Given:
    """Settings of the AWS profile, with changes."""

    def settings(**changes: Any) -> Settings:
        plain = {"rlm_profile": "aws", "aws_region": REGION, "aws_endpoint_url": emulator.endpoint}
        return load_settings(**{**plain, "s3_bucket": "rlm-bucket", "rlm_data_dir": tmp_path, **changes})

    return settings


@pytest.fixture
def secret(account: Account) -> Callable[[str], str]:
    """Make a secret; its ARN."""
    client = account.client("secretsmanager")
    return lambda text: str(client.create_secret(Name=uuid4().hex, SecretString=text)["ARN"])


def test_a_bucket_must_be_named(emulator: AwsEmulator) -> None:
    settings = load_settings(rlm_profile="aws", aws_endpoint_url=emulator.endpoint)
    with pytest.raises(SettingInvalid, match="S3_BUCKET"):
        wire(settings)


async def test_keys_need_a_pepper_that_is_said(given: Given) -> None:
    wiring = wire(given())
    with pytest.raises(SettingInvalid, match="API_KEY_PEPPER"):
        wiring.pepper()
    await wiring.close()
    with pytest.raises(SettingInvalid, match="API_KEY_PEPPER_SECRET_ARN"):
        async with stored_keys(given()):
            pass


def test_a_secret_may_be_the_value_alone(given: Given, secret: Callable[[str], str]) -> None:
    named = {"api_key_pepper_secret_arn": secret("a pepper\n"), "llm_provider_secret_arn": secret("sk-1")}
    read = with_secrets(given(**named))
    assert read.api_key_pepper is not None
    assert read.api_key_pepper.get_secret_value() == "a pepper"
    assert read.openai_api_key is not None
    assert read.openai_api_key.get_secret_value() == "sk-1"
    azure = with_secrets(given(**named, llm_provider="azure_openai"))
    assert azure.azure_openai_api_key is not None
    assert azure.openai_api_key is None


def test_a_secret_may_hold_several_by_name(given: Given, secret: Callable[[str], str]) -> None:
    both = secret(json.dumps({"OPENAI_API_KEY": "sk-2", "API_KEY_PEPPER": "p", "OTHER": "x"}))
    read = with_secrets(given(llm_provider_secret_arn=both))
    assert read.openai_api_key is not None
    assert read.api_key_pepper is not None
    assert (read.openai_api_key.get_secret_value(), read.api_key_pepper.get_secret_value()) == ("sk-2", "p")


def test_what_is_set_itself_comes_before_a_secret(given: Given, secret: Callable[[str], str]) -> None:
    read = with_secrets(given(openai_api_key="sk-own", llm_provider_secret_arn=secret("sk-3")))
    assert read.openai_api_key is not None
    assert read.openai_api_key.get_secret_value() == "sk-own"


def test_the_embedded_profile_reads_secrets_too(
    emulator: AwsEmulator, secret: Callable[[str], str], tmp_path: Path
) -> None:
    settings = load_settings(
        rlm_data_dir=tmp_path,
        aws_endpoint_url=emulator.endpoint,
        api_key_pepper_secret_arn=secret("a pepper"),
    )
    assert with_secrets(settings).api_key_pepper is not None


@pytest.mark.parametrize("text", [None, json.dumps({"OTHER": "x"})])
def test_a_secret_that_is_of_no_use_is_one_line(
    given: Given, secret: Callable[[str], str], text: str | None
) -> None:
    arn = secret(text) if text else "arn:aws:secretsmanager:eu-central-1:000000000000:secret:none"
    with pytest.raises(SettingInvalid, match="LLM_PROVIDER_SECRET_ARN") as refused:
        with_secrets(given(llm_provider_secret_arn=arn))
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"RLM_PROFILE": "azure"}, "RLM_PROFILE"),
        ({"S3_BUCKET": ""}, "S3_BUCKET"),
        ({"AWS_PROFILE": "nobody"}, "AWS_PROFILE"),
        ({"AWS_ENDPOINT_URL": "nonsense"}, "AWS_ENDPOINT_URL"),
        ({"AWS_ENDPOINT_URL": "", "AWS_REGION": "", "AWS_ACCESS_KEY_ID": ""}, "AWS_REGION"),
    ],
)
def test_a_wrong_setting_is_one_line(
    emulator: AwsEmulator, tmp_path: Path, more: dict[str, str], said: str
) -> None:
    with programs(tmp_path, emulator.endpoint, "rlm", "rlm-bucket") as made:
        done = made.run("list", **more)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"rlm: {said}")
    assert len(done.stderr.splitlines()) == 1
