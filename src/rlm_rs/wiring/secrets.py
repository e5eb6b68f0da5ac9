"""Settings whose values are kept in AWS Secrets Manager."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import get_args

from pydantic import SecretStr

from rlm_rs.core.errors import SettingInvalid
from rlm_rs.settings import Settings

PEPPER, PROVIDER = "api_key_pepper_secret_arn", "llm_provider_secret_arn"


def with_secrets(settings: Settings) -> Settings:
    """The settings, with the secrets they name read in; what is set itself is left as it is.

    A secret is the value alone, or a JSON object of variables and values. Raises `SettingInvalid`.
    """
    found: dict[str, SecretStr] = {}
    for place in (PEPPER, PROVIDER):
        arn = getattr(settings, place)
        if arn:
            found |= _read(settings, place, arn)
    wanted = {name: value for name, value in found.items() if getattr(settings, name) is None}
    return settings.model_copy(update=wanted) if wanted else settings


@contextmanager
def needs_aws_parts(variable: str) -> Iterator[None]:
    """Import inside it what needs boto3. variable: the setting that asks for it. Raises `SettingInvalid`."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise SettingInvalid(
            variable=variable, value="", reason=f"{error.name} is missing: pip install 'rlm-rs[aws]'."
        ) from error


def _read(settings: Settings, place: str, arn: str) -> dict[str, SecretStr]:
    with needs_aws_parts(place.upper()):
        from rlm_rs.wiring.aws import secret_value

    value = secret_value(settings, place.upper(), arn)
    if isinstance(value, str):
        return {_only(settings, place): SecretStr(value)}
    return _named(place, arn, value)


def _only(settings: Settings, place: str) -> str:
    """The setting that a secret of one value is for."""
    if place == PEPPER:
        return "api_key_pepper"
    azure = settings.llm_provider == "azure_openai" or (
        settings.llm_provider is None and settings.azure_openai_endpoint is not None
    )
    return "azure_openai_api_key" if azure else "openai_api_key"


def _named(place: str, arn: str, values: Mapping[str, str]) -> dict[str, SecretStr]:
    known = {name for name, field in Settings.model_fields.items() if SecretStr in _types(field.annotation)}
    found = {name.lower(): SecretStr(value) for name, value in values.items() if name.lower() in known}
    if not found:
        names = ", ".join(sorted(name.upper() for name in known))
        raise SettingInvalid(variable=place.upper(), value=arn, reason=f"it holds none of {names}.")
    return found


def _types(annotation: object) -> tuple[object, ...]:
    return annotation, *get_args(annotation)
