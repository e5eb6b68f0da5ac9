"""Every error has a code, a status and one sentence."""

from __future__ import annotations

import inspect

import pytest

from rlm_rs.core import errors
from rlm_rs.core.errors import BlobNotFound, RlmError, SettingInvalid, ValidationFailed

CLASSES = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, RlmError)]


@pytest.mark.parametrize("error", CLASSES)
def test_an_error_can_be_raised_with_nothing_and_still_says_something(error: type[RlmError]) -> None:
    raised = error()
    assert str(raised)
    assert raised.code.isupper()
    assert 400 <= raised.status < 600
    assert raised.exit_code in (1, 2, 3)


def test_details_fill_the_message_and_are_kept() -> None:
    error = BlobNotFound(uri="s3://b/k")
    assert error.message == "There is no object s3://b/k."
    assert error.details == {"uri": "s3://b/k"}


def test_a_message_given_is_the_message() -> None:
    assert str(ValidationFailed("No {braces} are filled here.")) == "No {braces} are filled here."


def test_values_with_braces_are_left_alone() -> None:
    assert "{x}" in SettingInvalid(variable="V", value="{x}", reason="{y}").message
