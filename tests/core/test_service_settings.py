"""Settings of the service: sound defaults, and one clear line for a wrong value."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from rlm_rs.core.errors import SettingInvalid
from rlm_rs.core.limits import Limits
from rlm_rs.settings import load_settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WORKER_MODE", "everything"),
        ("WORKER_CONCURRENCY", "0"),
        ("WORKER_LEASE_SECONDS", "soon"),
        ("WORKER_POLL_INTERVAL_SECONDS", "0"),
        ("WORKER_MAX_ATTEMPTS", "-1"),
        ("REQUEST_SIZE_LIMIT_BYTES", "10MB"),
        ("UPLOAD_SIZE_LIMIT_BYTES", "0"),
        ("ENABLE_METRICS", "perhaps"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingInvalid) as refused:
        load_settings()
    assert refused.value.message.startswith(f"{variable} is '{value}': ")
    assert "\n" not in refused.value.message


@pytest.mark.parametrize("value", ["data", "https://host/", "s3://bucket", "s3://bucket/folder", "s3:///x/"])
def test_a_prefix_that_would_let_in_more_than_a_folder_is_refused(value: str) -> None:
    with pytest.raises(SettingInvalid, match="IMPORT_URI_PREFIXES"):
        load_settings(import_uri_prefixes=value).import_prefixes()


def test_import_prefixes_stand_between_commas() -> None:
    settings = load_settings(import_uri_prefixes=" s3://shared/, s3://other/a/b/ ,")
    assert settings.import_prefixes() == ("s3://shared/", "s3://other/a/b/")
    assert load_settings().import_prefixes() == ()


def test_the_seeds_names_of_settings_mean_what_they_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "SANDBOX_RUNNER": "local",
        "LLM_PROVIDER": "azure_openai",
        "OPENAI_BASE_URL": "https://house.openai.azure.com",
        "OPENAI_API_KEY": "azure-key",
        "AZURE_OPENAI_API_VERSION": "2024-10-21",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.sandbox_runner == "process"
    assert settings.azure_endpoint() == "https://house.openai.azure.com"
    assert (settings.azure_key() or SecretStr("")).get_secret_value() == "azure-key"
    assert settings.azure_version() == "2024-10-21"
    assert load_settings(openai_api_version="2025-01-01").azure_version() == "2025-01-01"
    assert load_settings(azure_openai_endpoint="https://mine").azure_endpoint() == "https://mine"
    # what is for another server is not sent to Azure because a key of Azure's is there
    assert load_settings(llm_provider="openai").azure_key() is None


def test_limits_come_from_their_setting() -> None:
    settings = load_settings(rate_limits_json='{"max_concurrent_executions": 3}')
    assert settings.rate_limits().of("a") == Limits(max_concurrent_executions=3)


def test_the_pepper_is_not_shown() -> None:
    settings = load_settings(api_key_pepper="a secret pepper")
    assert "a secret pepper" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "profile", "prefix"),
    [
        ({}, "embedded", "rlm"),
        ({"aws_endpoint_url": "http://localhost:1"}, "embedded", "rlm"),
        ({"ddb_table_prefix": "prod"}, "aws", "prod"),
        ({"rlm_profile": "aws"}, "aws", "rlm"),
        ({"rlm_profile": "embedded", "ddb_table_prefix": "prod"}, "embedded", "prod"),
    ],
)
def test_the_profile_is_said_or_follows_from_the_prefix_of_the_tables(
    given: dict[str, str], profile: str, prefix: str
) -> None:
    settings = load_settings(**given)
    assert (settings.profile(), settings.table_prefix()) == (profile, prefix)


def test_the_endpoint_of_the_emulator_comes_before_the_one_of_all_sdks() -> None:
    both = load_settings(aws_endpoint_url="http://localhost:1", localstack_endpoint_url="http://localhost:2")
    assert both.aws_endpoint() == "http://localhost:2"
    assert load_settings(aws_endpoint_url="http://localhost:1").aws_endpoint() == "http://localhost:1"


@pytest.mark.parametrize(
    ("name", "value"), [("rlm_profile", "azure"), ("ddb_table_prefix", "a b"), ("image_cache_bytes", "1")]
)
def test_a_wrong_value_of_the_aws_profile_is_one_line_too(name: str, value: str) -> None:
    with pytest.raises(SettingInvalid, match=name.upper()):
        load_settings(**{name: value})


def test_the_password_of_a_search_server_is_not_shown() -> None:
    settings = load_settings(opensearch_password="open sesame")
    assert "open sesame" not in repr(settings)
