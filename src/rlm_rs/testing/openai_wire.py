"""The bodies of OpenAI's two completion APIs: reading requests, writing answers and event streams.

Field names follow the public API references of chat completions and responses.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rlm_rs.core.model import Usage
from rlm_rs.testing.openai_faults import WireError
from rlm_rs.testing.openai_script import Api, Prompt, ServedReply

CHARS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
CACHE_BLOCK_TOKENS = 128
CACHE_MIN_TOKENS = 1024
STREAM_PIECE_CHARS = 24


@dataclass(frozen=True, slots=True)
class Served:
    """A reply with everything its body needs."""

    number: int
    prompt: Prompt
    reply: ServedReply
    usage: Usage


class PrefixCache:
    """Which prompt prefixes were seen, in blocks of 128 tokens, as the service's own prompt cache does."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def cached_tokens(self, model: str, text: str) -> int:
        """Tokens of the prompt's beginning that an earlier prompt of the model had; remembers this one."""
        hashes = list(_block_hashes(model, text))
        hits = 0
        while hits < len(hashes) and hashes[hits] in self._seen:
            hits += 1
        self._seen.update(hashes)
        tokens = hits * CACHE_BLOCK_TOKENS
        return tokens if tokens >= CACHE_MIN_TOKENS else 0


def _block_hashes(model: str, text: str) -> Iterator[bytes]:
    size = CACHE_BLOCK_TOKENS * CHARS_PER_TOKEN
    running = hashlib.sha256(model.encode())
    for start in range(0, len(text) - size + 1, size):
        running.update(text[start : start + size].encode("utf-8", "surrogatepass"))
        yield running.digest()


def tokens_of(text: str) -> int:
    """A plausible number of tokens: one for four characters, rounded up."""
    return math.ceil(len(text) / CHARS_PER_TOKEN)


def prompt_tokens(prompt: Prompt) -> int:
    """A plausible number of input tokens."""
    return tokens_of(prompt.text) + TOKENS_PER_MESSAGE * len(prompt.messages)


def usage_of(prompt: Prompt, reply: ServedReply, cached: int) -> Usage:
    """Plausible token counts of an exchange."""
    inputs = prompt_tokens(prompt)
    thought = tokens_of(reply.reasoning)
    said = tokens_of(reply.text) + sum(tokens_of(call.arguments) for call in reply.tool_calls)
    return Usage(inputs, thought + said, min(cached, inputs), thought)


def read_prompt(api: Api, body: Any, deployment: str | None) -> Prompt | WireError:
    """The prompt in a request's body, or the error the service answers."""
    if not isinstance(body, dict):
        return WireError(400, "We could not parse the JSON body of your request.")
    model = deployment or body.get("model")
    if not isinstance(model, str) or not model:
        return WireError(400, "you must provide a model parameter", param="model")
    entries = body.get("messages") if api == "chat" else _input(body)
    if not isinstance(entries, list) or not entries:
        param = "messages" if api == "chat" else "input"
        return WireError(
            400, f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param
        )
    try:
        return Prompt(
            api, model, tuple((entry["role"], _text(entry.get("content"))) for entry in entries), body
        )
    except (KeyError, TypeError, AttributeError):
        return WireError(400, "Invalid type for a message.", code="invalid_type", param="messages")


def _input(body: Mapping[str, Any]) -> Any:
    given = body.get("input")
    entries = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if isinstance(entries, list) and body.get("instructions"):
        return [{"role": "system", "content": body["instructions"]}, *entries]
    return entries


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def cut_to_limit(prompt: Prompt, reply: ServedReply) -> ServedReply:
    """The reply as far as the request's output limit lets it come."""
    names = ("max_output_tokens", "max_completion_tokens", "max_tokens")
    limit = next((prompt.body[name] for name in names if isinstance(prompt.body.get(name), int)), None)
    if limit is None or tokens_of(reply.text) <= limit:
        return reply
    return replace(reply, text=reply.text[: limit * CHARS_PER_TOKEN], finish_reason="length")


def chat_body(served: Served) -> dict[str, Any]:
    """A `chat.completion` object."""
    choice = {
        "index": 0,
        "message": _message(served.reply),
        "logprobs": None,
        "finish_reason": _finish(served),
    }
    return _chat_head(served, "chat.completion") | {"choices": [choice], "usage": chat_usage(served.usage)}


def _chat_head(served: Served, kind: str) -> dict[str, Any]:
    head = {"id": f"chatcmpl-{served.number:08d}", "object": kind, "created": int(time.time())}
    return head | {"model": served.prompt.model, "service_tier": "default", "system_fingerprint": "fp_test"}


def _message(reply: ServedReply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.reasoning:
        message["reasoning_content"] = reply.reasoning
    if reply.tool_calls:
        message["tool_calls"] = _tool_calls(reply)
    return message


def _tool_calls(reply: ServedReply) -> list[dict[str, Any]]:
    return [
        {"id": f"call_{n}", "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for n, call in enumerate(reply.tool_calls)
    ]


def _finish(served: Served) -> str:
    reply = served.reply
    return "tool_calls" if reply.tool_calls and reply.finish_reason == "stop" else reply.finish_reason


def chat_usage(usage: Usage) -> dict[str, Any]:
    """The `usage` object of chat completions."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens, "audio_tokens": 0},
    }


def chat_events(served: Served) -> list[bytes]:
    """The same answer as a stream of `chat.completion.chunk` events, ended by `[DONE]`."""
    reply = served.reply
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in _pieces(reply.reasoning)]
    deltas += [{"content": piece} for piece in _pieces(reply.text)]
    if reply.tool_calls:
        deltas.append({"tool_calls": [call | {"index": n} for n, call in enumerate(_tool_calls(reply))]})
    choices: list[list[dict[str, Any]]] = [[{"index": 0, "delta": d, "finish_reason": None}] for d in deltas]
    choices.append([{"index": 0, "delta": {}, "finish_reason": _finish(served)}])
    head = _chat_head(served, "chat.completion.chunk")
    chunks = [head | {"choices": choice} for choice in choices]
    if (served.prompt.body.get("stream_options") or {}).get("include_usage"):
        chunks.append(head | {"choices": [], "usage": chat_usage(served.usage)})
    return [*(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks), b"data: [DONE]\n\n"]


def _pieces(text: str) -> Sequence[str]:
    return [text[start : start + STREAM_PIECE_CHARS] for start in range(0, len(text), STREAM_PIECE_CHARS)]


def responses_body(served: Served, status: str | None = None) -> dict[str, Any]:
    """A `response` object. status overrides the one that follows from the reply."""
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    reason = reasons.get(served.reply.finish_reason)
    ended = status or ("incomplete" if reason else "completed")
    return {
        "id": f"resp_{served.number:08d}",
        "object": "response",
        "created_at": int(time.time()),
        "status": ended,
        "error": None,
        "incomplete_details": {"reason": reason} if reason and not status else None,
        "instructions": served.prompt.body.get("instructions"),
        "model": served.prompt.model,
        "output": [] if status else responses_items(served),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "metadata": {},
        "usage": None if status else responses_usage(served.usage),
    }


def responses_items(served: Served) -> list[dict[str, Any]]:
    """The `output` items: reasoning, message, function calls."""
    reply, number = served.reply, served.number
    items: list[dict[str, Any]] = []
    if reply.reasoning:
        summary = [{"type": "summary_text", "text": reply.reasoning}]
        items.append({"id": f"rs_{number:08d}", "type": "reasoning", "summary": summary})
    if reply.text:
        items.append(_message_item(served, [_text_part(reply.text)], "completed"))
    for n, call in enumerate(reply.tool_calls):
        item = {"id": f"fc_{number:08d}_{n}", "type": "function_call", "call_id": f"call_{n}"}
        items.append(item | {"name": call.name, "arguments": call.arguments, "status": "completed"})
    return items


def _message_item(served: Served, content: list[dict[str, Any]], status: str) -> dict[str, Any]:
    item = {"id": f"msg_{served.number:08d}", "type": "message", "role": "assistant"}
    return item | {"status": status, "content": content}


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def responses_usage(usage: Usage) -> dict[str, Any]:
    """The `usage` object of responses."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_input_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def responses_events(served: Served) -> list[bytes]:
    """The same answer as a stream of typed, numbered events."""
    started = responses_body(served, status="in_progress")
    events: list[dict[str, Any]] = [{"type": "response.created", "response": started}]
    events.append({"type": "response.in_progress", "response": started})
    for index, item in enumerate(responses_items(served)):
        events += _item_events(served, index, item)
    done = responses_body(served)
    events.append({"type": f"response.{done['status']}", "response": done})
    numbered = [event | {"sequence_number": number} for number, event in enumerate(events)]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in numbered]


def _item_events(served: Served, index: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    opened = _message_item(served, [], "in_progress") if item["type"] == "message" else item
    events = [{"type": "response.output_item.added", "output_index": index, "item": opened}]
    if item["type"] == "message":
        events += _text_events(index, item["id"], served.reply.text)
    return [*events, {"type": "response.output_item.done", "output_index": index, "item": item}]


def _text_events(index: int, item_id: str, text: str) -> list[dict[str, Any]]:
    where = {"item_id": item_id, "output_index": index, "content_index": 0}
    deltas = [
        {"type": "response.output_text.delta", "delta": piece, "logprobs": []} for piece in _pieces(text)
    ]
    return [
        {"type": "response.content_part.added", "part": _text_part(""), **where},
        *(delta | where for delta in deltas),
        {"type": "response.output_text.done", "text": text, "logprobs": [], **where},
        {"type": "response.content_part.done", "part": _text_part(text), **where},
    ]
