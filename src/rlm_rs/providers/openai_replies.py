"""Reading the bodies of OpenAI's two completion APIs, as the service and compatible servers send them.

Nothing is taken for granted: a body of another shape is a `malformed` failure, not an exception.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rlm_rs.core.model import ModelReply, ToolCall, Usage
from rlm_rs.providers.openai_failures import (
    Names,
    details_of_usage,
    of_error,
    of_malformed,
    read_error,
)
from rlm_rs.providers.retrying import Failure
from rlm_rs.providers.wire_text import quoted, scalar_text

# a reasoning model's thoughts left in the text by a server that does not split them off; the opening
# mark is missing where the chat template wrote it into the prompt
_THOUGHT = re.compile(
    r"\A\s*(?:<think>)(.*?)(?:</think>\s*|\Z)|\A(?!.*<think>)(.*?)^</think>\s*", re.S | re.M
)
_INCOMPLETE = {"max_output_tokens": "length"}


def read_chat(body: bytes, names: Names) -> ModelReply | Failure:
    """The reply in a chat completion's body."""
    data = _object(body, names)
    if isinstance(data, Failure):
        return data
    choices = data.get("choices")
    if not isinstance(choices, Sequence) or not choices or not isinstance(choices[0], Mapping):
        return _no_answer(data, "it has no choices", names)
    message = choices[0].get("message")
    if not isinstance(message, Mapping):
        return of_malformed("its choice has no message", names)
    text, thought = _split_thought(_parts(message.get("content"), "text") or _string(message.get("refusal")))
    sent = _string(message.get("reasoning_content")) or _string(message.get("reasoning"))
    reply = ModelReply(
        text=text,
        model=_string(data.get("model")) or names.model,
        usage=_chat_usage(data.get("usage")),
        reasoning=sent or _parts(message.get("content"), "thinking") or thought,
        tool_calls=_tool_calls(message),
        finish_reason=_string(choices[0].get("finish_reason")) or "stop",
    )
    return _usable(reply, names)


def read_responses(body: bytes, names: Names) -> ModelReply | Failure:
    """The reply in a response's body."""
    data = _object(body, names)
    if isinstance(data, Failure):
        return data
    items = data.get("output")
    if not isinstance(items, Sequence) or data.get("error") or data.get("status") == "failed":
        return _no_answer(data, "it has no output", names)
    items = [item for item in items if isinstance(item, Mapping)]
    said = [item for item in items if item.get("type") == "message"]
    thought = [item for item in items if item.get("type") == "reasoning"]
    calls = tuple(
        _call(item, "input" if "input" in item else "arguments") for item in items if _is_call(item)
    )
    reply = ModelReply(
        text="".join(_parts(item.get("content"), "text", "refusal") for item in said),
        model=_string(data.get("model")) or names.model,
        usage=_responses_usage(data.get("usage")),
        reasoning="\n".join(filter(None, map(_thought_of, thought))),
        tool_calls=calls,
        finish_reason=_finish(data, calls),
    )
    return _usable(reply, names)


def _object(body: bytes, names: Names) -> Mapping[str, Any] | Failure:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        start = quoted(body[:80].decode("utf-8", "replace"), names.secrets)
        return of_malformed(f"not JSON, beginning with {start!r}" if start else "it is empty", names)
    return data if isinstance(data, Mapping) else of_malformed("not a JSON object", names)


def _no_answer(data: Mapping[str, Any], what: str, names: Names) -> Failure:
    """Some gateways send an error with status 200: then that is the failure."""
    if not data.get("error"):
        return of_malformed(what, names)
    error = read_error(data)
    status = int(error.code) if error.code.isdecimal() and 400 <= int(error.code) <= 599 else 500
    return of_error(429 if "rate_limit" in error.code else status, error, names)


def _usable(reply: ModelReply, names: Names) -> ModelReply | Failure:
    """The reply, unless it ended before there was any text: an empty text would look like an answer."""
    if reply.text or reply.tool_calls or reply.finish_reason not in ("length", "content_filter"):
        return reply
    paid = details_of_usage(reply.usage)
    if reply.finish_reason == "content_filter":
        message = f"The provider's content filter kept back the whole reply of {names.model!r}."
        return Failure("content_filter", message, 200, extra=paid)
    spent = f" ({reply.usage.output_tokens} tokens)" if reply.usage else ""
    message = f"{names.model!r} reached its output limit{spent} before it wrote any text. Raise max_tokens."
    return Failure("length", message, 200, extra=paid)


def _split_thought(text: str) -> tuple[str, str]:
    found = _THOUGHT.match(text) if "think>" in text else None
    if found is None:
        return text, ""
    return text[found.end() :], (found[1] or found[2] or "").strip()


def _parts(content: Any, *kinds: str) -> str:
    """The text of a content: a string, or a list of parts of which those with a given field count."""
    if isinstance(content, str):
        return _string(content) if "text" in kinds else ""
    if not isinstance(content, Sequence):
        return ""
    parts = [part for part in content if isinstance(part, Mapping)]
    return "".join(_parts(part.get(kind), "text") for part in parts for kind in kinds if kind in part)


def _thought_of(item: Mapping[str, Any]) -> str:
    return _parts(item.get("summary"), "text") or _parts(item.get("content"), "text")


def _tool_calls(message: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    listed = message.get("tool_calls")
    calls = [call for call in listed if isinstance(call, Mapping)] if isinstance(listed, Sequence) else []
    inner = [call.get("function") or call.get("custom") for call in calls] + [message.get("function_call")]
    found = [call for call in inner if isinstance(call, Mapping)]
    return tuple(_call(call, "input" if "input" in call else "arguments") for call in found)


def _call(call: Mapping[str, Any], field: str) -> ToolCall:
    arguments = call.get(field)
    as_text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(_string(call.get("name")), scalar_text(as_text))


def _is_call(item: Mapping[str, Any]) -> bool:
    return item.get("type") in ("function_call", "custom_tool_call")


def _finish(data: Mapping[str, Any], calls: Sequence[ToolCall]) -> str:
    if data.get("status") != "incomplete":
        return "tool_calls" if calls else "stop"
    details = data.get("incomplete_details")
    reason = _string(details.get("reason")) if isinstance(details, Mapping) else ""
    return _INCOMPLETE.get(reason, reason or "incomplete")


def _chat_usage(usage: Any) -> Usage | None:
    if not isinstance(usage, Mapping):
        return None
    cached = _inner(usage, "prompt_tokens_details", "cached_tokens") or _count(
        usage, "prompt_cache_hit_tokens"
    )
    thought = _inner(usage, "completion_tokens_details", "reasoning_tokens")
    return Usage(_count(usage, "prompt_tokens"), _count(usage, "completion_tokens"), cached, thought)


def _responses_usage(usage: Any) -> Usage | None:
    if not isinstance(usage, Mapping):
        return None
    cached = _inner(usage, "input_tokens_details", "cached_tokens")
    thought = _inner(usage, "output_tokens_details", "reasoning_tokens")
    return Usage(_count(usage, "input_tokens"), _count(usage, "output_tokens"), cached, thought)


def _inner(usage: Mapping[str, Any], group: str, name: str) -> int:
    inner = usage.get(group)
    return _count(inner, name) if isinstance(inner, Mapping) else 0


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e15:
        return 0
    return int(value)


def _string(value: Any) -> str:
    return scalar_text(value) if isinstance(value, str) else ""
