"""Reading replies: every shape seen in the wild, and any JSON at all without an exception."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.core.model import ModelReply, ToolCall, Usage
from rlm_rs.providers.openai_failures import Names
from rlm_rs.providers.openai_replies import read_chat, read_responses
from rlm_rs.providers.retrying import Failure

NAMES = Names("http://host/v1", "asked-model", secrets=("sk-secret-1234",))


def chat(message: Any, finish: Any = "stop", **more: Any) -> Any:
    body = {"choices": [{"message": message, "finish_reason": finish}], **more}
    return read_chat(json.dumps(body).encode(), NAMES)


def responses(*output: Any, **more: Any) -> Any:
    return read_responses(json.dumps({"status": "completed", "output": output, **more}).encode(), NAMES)


def test_a_reply_without_model_and_usage_names_the_model_asked() -> None:
    reply = chat({"content": "x"})
    assert reply == ModelReply("x", "asked-model", usage=None)


@pytest.mark.parametrize(
    ("message", "text", "reasoning"),
    [
        ({"content": "x", "reasoning_content": "r"}, "x", "r"),
        ({"content": "x", "reasoning": "r"}, "x", "r"),
        ({"content": [{"type": "thinking", "thinking": [{"text": "r"}]}, {"text": "x"}]}, "x", "r"),
        ({"content": "<think>\nr\n</think>\n\nx"}, "x", "r"),
        ({"content": "r\n</think>\n\nx"}, "x", "r"),
        ({"content": "<think>r <think> r</think>x"}, "x", "r <think> r"),
        ({"content": "<think>never closed"}, "", "never closed"),
        ({"content": "say <think> and </think>"}, "say <think> and </think>", ""),
        ({"content": "the tag `</think>` in prose"}, "the tag `</think>` in prose", ""),
        ({"content": None, "refusal": "I will not."}, "I will not.", ""),
        ({"content": 5, "reasoning": ["x"]}, "", ""),
    ],
)
def test_text_and_thoughts_are_told_apart(message: Any, text: str, reasoning: str) -> None:
    reply = chat(message)
    assert (reply.text, reply.reasoning) == (text, reasoning)


@pytest.mark.parametrize(
    "message",
    [
        {"tool_calls": [{"type": "function", "function": {"name": "repl", "arguments": '{"a": 1}'}}]},
        {"tool_calls": [{"function": {"name": "repl", "arguments": {"a": 1}}}]},
        {"tool_calls": [{"type": "custom", "custom": {"name": "repl", "input": '{"a": 1}'}}]},
        {"function_call": {"name": "repl", "arguments": '{"a": 1}'}},
        {
            "tool_calls": [
                None,
                3,
                {"function": None},
                {"function": {"name": "repl", "arguments": '{"a": 1}'}},
            ]
        },
    ],
)
def test_tool_calls_of_any_shape_are_read(message: Any) -> None:
    assert chat(message, "tool_calls").tool_calls == (ToolCall("repl", '{"a": 1}'),)


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(9, 5, 4, 3),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 5, "prompt_cache_hit_tokens": 4}, Usage(9, 5, 4, 0)),
        ({"prompt_tokens": 9.0, "completion_tokens": None, "prompt_tokens_details": None}, Usage(9)),
        ({"prompt_tokens": -9, "completion_tokens": "5", "prompt_tokens_details": True}, Usage()),
        ([], None),
    ],
)
def test_usage_of_any_shape_is_read(usage: Any, read: Usage | None) -> None:
    assert chat({"content": "x"}, usage=usage).usage == read


def test_responses_items_are_put_together() -> None:
    reply = responses(
        {"type": "reasoning", "summary": [{"text": "r1"}], "content": None},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "r2"}]},
        {
            "type": "message",
            "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "b"}],
        },
        {"type": "custom_tool_call", "name": "repl", "input": "print(1)"},
        {"type": "something new"},
    )
    assert (reply.text, reply.reasoning) == ("ab", "r1\nr2")
    assert reply.tool_calls == (ToolCall("repl", "print(1)"),)
    assert reply.finish_reason == "tool_calls"


def test_an_incomplete_response_keeps_its_text() -> None:
    message = {"type": "message", "content": [{"text": "half"}]}
    reply = responses(message, status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert (reply.text, reply.finish_reason) == ("half", "length")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "slow down", "code": 429}}, "rate_limit"),
        ({"error": {"message": "overloaded", "code": 502}}, "server"),
        ({"error": "something"}, "server"),
        ({"error": {"code": "rate_limit_exceeded", "message": "x"}, "status": "failed"}, "rate_limit"),
        ({"error": {"code": 401, "message": "no"}}, "auth"),
    ],
)
def test_an_error_with_status_200_is_an_error(body: Any, kind: str) -> None:
    for read in (read_chat, read_responses):
        failure = read(json.dumps(body).encode(), NAMES)
        assert isinstance(failure, Failure)
        assert failure.kind == kind


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_no_text_at_the_limit_is_a_failure_with_what_it_cost(finish: str) -> None:
    failure = chat({"content": "", "reasoning": "r"}, finish, usage={"completion_tokens": 99})
    assert failure.kind == finish
    assert failure.extra["output_tokens"] == 99
    assert not failure.retryable


def test_some_text_at_the_limit_is_a_reply() -> None:
    assert chat({"content": "half"}, "length").finish_reason == "length"


def test_lone_surrogates_do_not_come_in() -> None:
    assert chat({"content": "a\ud800b"}).text == "a\ufffdb"


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b"sk-secret-1234"])
def test_a_body_that_is_no_object_is_malformed_on_one_line(body: bytes) -> None:
    for read in (read_chat, read_responses):
        failure = read(body, NAMES)
        assert isinstance(failure, Failure)
        assert (failure.kind, failure.retryable) == ("malformed", True)
        assert "\n" not in failure.message
        assert "secret" not in failure.message


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        -1,
        1.5,
        "",
        "x",
        "429",
        [],
        {},
        ["x"],
        [[]],
        {"x": 1},
        {"text": 5},
        [{"text": [{"text": "x"}]}],
    ]
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("content", "tool_calls", "function_call", "reasoning", "refusal"), ODD),
)
ITEM = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "reasoning", "function_call", "custom_tool_call"])},
    optional=dict.fromkeys(("content", "summary", "name", "arguments", "input"), ODD),
)
BODY = st.fixed_dictionaries(
    {},
    optional={
        "choices": ODD | st.lists(st.fixed_dictionaries({"message": MESSAGE | ODD, "finish_reason": ODD})),
        "output": ODD | st.lists(ITEM | ODD),
        "usage": ODD | st.fixed_dictionaries({"prompt_tokens": ODD, "prompt_tokens_details": ODD}),
        "model": ODD,
        "error": ODD,
        "status": ODD | st.just("incomplete"),
        "incomplete_details": ODD,
    },
)


@given(BODY)
def test_any_body_gives_a_reply_or_a_failure(body: Any) -> None:
    data = json.dumps(body).encode()
    for read in (read_chat, read_responses):
        result = read(data, NAMES)
        if isinstance(result, ModelReply):
            assert isinstance(result.text, str)
            assert all(isinstance(call.arguments, str) for call in result.tool_calls)
        else:
            assert result.message
            assert "\n" not in result.message


@pytest.mark.parametrize("code", ["²", "٥٠٠", "9" * 400])
def test_an_error_with_any_code_is_a_failure(code: str) -> None:
    failure = read_chat(json.dumps({"error": {"code": code, "message": "x"}}).encode(), NAMES)
    assert isinstance(failure, Failure)
