"""Request bodies, and what is learnt from a refusal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.core.model import Message, ModelRequest
from rlm_rs.providers.openai_failures import ErrorBody
from rlm_rs.providers.openai_params import (
    Dialect,
    chat_params,
    dialect_of,
    is_lasting,
    is_strict,
    responses_params,
    without_refused,
)

REQUEST = ModelRequest("m", (Message("user", "u"),), max_tokens=5, temperature=0.0, schema={"type": "object"})


@pytest.mark.parametrize(
    "model", ["gpt-5", "gpt-5-nano-2025-08-07", "gpt-6.1-sol", "o3-mini", "openai/o1", "GPT-5.2-pro"]
)
def test_reasoning_models_are_known_by_name(model: str) -> None:
    dialect = dialect_of(model, 2048)
    assert dialect.limit_names[0] == "max_completion_tokens"
    assert not dialect.temperature
    assert dialect.min_limit == 2048


@pytest.mark.parametrize(
    "model",
    ["gpt-4o", "gpt-4.1", "gpt-5-chat-latest", "gpt-oss-120b", "olmo-2", "qwen3", "", "claude-opus-5"],
)
def test_other_models_are_asked_plainly(model: str) -> None:
    assert dialect_of(model, 2048) == Dialect()


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("Unsupported parameter: 'max_tokens' is not supported with this model.", "max_tokens"),
        ("Unrecognized request argument supplied: max_tokens", ""),
        (
            "[{'loc': ('body', 'max_tokens'), 'msg': 'Extra inputs are not permitted'}]",
            "",
        ),
        ("unknown field `max_tokens`, expected one of", ""),
    ],
)
def test_a_refused_limit_gets_its_other_name(message: str, param: str) -> None:
    params = chat_params(REQUEST, Dialect(), None)
    fixed = without_refused(Dialect(), params, ErrorBody(message, param=param))
    assert fixed == Dialect(limit_names=("max_completion_tokens",))


@pytest.mark.parametrize(
    "error",
    [
        ErrorBody("max_tokens is too large: 999999. This model supports at most 16384 completion tokens."),
        ErrorBody("Invalid 'messages[0].content'", code="invalid_type", param="messages"),
        ErrorBody("Unsupported parameter: 'top_k'", code="unsupported_parameter", param="top_k"),
        ErrorBody("This model's maximum context length is 8192 tokens", code="context_length_exceeded"),
        ErrorBody(""),
    ],
)
def test_other_errors_change_nothing(error: ErrorBody) -> None:
    request = ModelRequest("m", (Message("user", "u"),), max_tokens=5, temperature=0.0)
    assert without_refused(Dialect(), chat_params(request, Dialect(), None), error) is None


def test_a_parameter_that_was_not_sent_is_not_blamed() -> None:
    error = ErrorBody("Unsupported value: 'temperature'", code="unsupported_value", param="temperature")
    bare = chat_params(ModelRequest("m", ()), Dialect(), None)
    assert without_refused(Dialect(), bare, error) is None


def test_a_schema_refused_as_such_is_not_held_against_the_model() -> None:
    error = ErrorBody("Invalid schema for response_format 'reply': …", param="response_format")
    assert without_refused(Dialect(), chat_params(REQUEST, Dialect(), None), error) is not None
    assert not is_lasting(error)
    assert is_lasting(ErrorBody("'response_format' of type 'json_schema' is not supported"))


REFUSALS = st.sampled_from(
    [
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "temperature",
        "response_format",
        "reasoning_effort",
    ]
)


@given(st.lists(REFUSALS, max_size=60), st.booleans())
def test_giving_way_comes_to_an_end(refusals: list[str], responses: bool) -> None:
    dialect, steps = Dialect(), 0
    build = responses_params if responses else chat_params
    for name in refusals * 3:
        error = ErrorBody(f"Unsupported parameter: '{name}'", "unsupported_parameter", param=name)
        fixed = without_refused(dialect, build(REQUEST, dialect, "low"), error)
        dialect, steps = fixed or dialect, steps + (fixed is not None)
    assert steps <= 6


def test_responses_limits_are_never_below_what_the_service_takes() -> None:
    assert responses_params(REQUEST, Dialect(), None)["max_output_tokens"] == 16


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"type": "string"}, True),
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({"type": "object"}, False),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, False),
        ({"anyOf": [{"type": "object", "properties": {"a": {}}}]}, False),
        ({"type": "array", "items": {"type": "object"}}, False),
        *[
            ({"type": "object", "properties": {"a": {}}, "additionalProperties": False, "required": x}, False)
            for x in (None, True, 5, "a", {"a": 1}, [["a"]], ["b"])
        ],
        ({"type": "object", "properties": None, "additionalProperties": False, "required": []}, True),
    ],
)
def test_only_schemas_the_service_can_enforce_are_strict(schema: dict[str, Any], strict: bool) -> None:
    assert is_strict(schema) is strict
