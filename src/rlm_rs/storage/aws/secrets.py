"""Secrets of AWS Secrets Manager, read when a process starts."""

from __future__ import annotations

import json

from botocore.exceptions import BotoCoreError, ClientError

from rlm_rs.core.errors import SettingInvalid
from rlm_rs.storage.aws.account import Account
from rlm_rs.storage.aws.calls import code_of


def read_secret(account: Account, variable: str, arn: str) -> str | dict[str, str]:
    """A secret's text, or the strings of the JSON object it is. variable: the setting that names it.

    Raises `SettingInvalid`.
    """
    try:
        found = account.client("secretsmanager", attempts=4).get_secret_value(SecretId=arn)
    except ClientError as error:
        raise SettingInvalid(
            variable=variable, value=arn, reason=f"it cannot be read ({code_of(error)})."
        ) from error
    except BotoCoreError as error:
        raise SettingInvalid(variable=variable, value=arn, reason=f"{error}.") from error
    text = str(found.get("SecretString") or "").strip()
    if not text:
        raise SettingInvalid(variable=variable, value=arn, reason="it holds no text.")
    return _strings(text)


def _strings(text: str) -> str | dict[str, str]:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if not isinstance(value, dict):
        return text
    return {str(name): str(content) for name, content in value.items()}
