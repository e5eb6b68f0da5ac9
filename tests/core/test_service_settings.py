"""Settings of the service: sound defaults, and one clear line for a wrong value."""

from __future__ import annotations

import pytest

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


def test_limits_come_from_their_setting() -> None:
    settings = load_settings(rate_limits_json='{"max_concurrent_executions": 3}')
    assert settings.rate_limits().of("a") == Limits(max_concurrent_executions=3)


def test_the_pepper_is_not_shown() -> None:
    settings = load_settings(api_key_pepper="a secret pepper")
    assert "a secret pepper" not in repr(settings)


def test_the_password_of_a_search_server_is_not_shown() -> None:
    settings = load_settings(opensearch_password="open sesame")
    assert "open sesame" not in repr(settings)
