"""Strict reading of what a child sent: it ran untrusted code, so nothing it says is taken on trust.

A reply either is a `StepResult` that this step on this corpus could have produced, or it is refused with
`ReplyMalformed`. What a lying child can still do is lie within its own step.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rlm_rs.core.corpus import Corpus
from rlm_rs.runners.exchange import ReplyMalformed
from rlm_rs.sandbox.limits import NESTING
from rlm_rs.sandbox.protocol import Cite, SpanEntry, StepRequest, StepResult, SubcallRequest, View

MAX_DEPTH = NESTING + 10
MAX_NODES = 2_000_000
MAX_REQUESTS = 10_000
MAX_NAME_CHARS = 1_000
MAX_TEXT_CHARS = 100_000
STDOUT_SLACK_CHARS = 1_000
"""Room for the notices the step program adds to what was printed."""

_RESULT = TypeAdapter(StepResult)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)


def parse_reply(body: bytes | bytearray, step: StepRequest, corpus: Corpus) -> StepResult:
    """The result in `body`. Raises `ReplyMalformed` saying what is wrong with it."""
    refuse_crowds(body)
    try:
        result = _RESULT.validate_json(body, strict=True, extra="forbid")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ReplyMalformed(f"{where}: {first['msg']}".lstrip(": ")[:200]) from None
    _check_status(result)
    _check_sizes(result, step)
    _check_json(result)
    ranges = readable_ranges(step, corpus)
    for span in result.spans:
        _check_span(span, ranges)
    for cite in result.cites:
        _check_cite(cite, ranges)
    _check_requests(result.requests, step, ranges)
    _check_usage(result)
    return result


def refuse_crowds(body: bytes | bytearray) -> None:
    """Refuse JSON with more values than any step can produce, before they are built.

    64 MB of `[],[],…` would be gigabytes as Python lists.
    """
    if _structural(body) > MAX_NODES and _structural(_STRING.sub(b"", body)) > MAX_NODES:
        raise ReplyMalformed(f"it holds more than {MAX_NODES} values")


def _structural(body: bytes | bytearray) -> int:
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _require(holds: bool, complaint: str) -> None:
    if not holds:
        raise ReplyMalformed(complaint)


def _check_status(result: StepResult) -> None:
    if result.status == "suspended":
        _require(bool(result.requests), "it is suspended at nothing")
        bare = StepResult(status="suspended", requests=result.requests, usage=result.usage)
        _require(result == bare, "it is suspended, yet says more than its requests")


def _check_sizes(result: StepResult, step: StepRequest) -> None:
    limits = step.limits
    _require(len(result.stdout) <= limits.stdout_chars + STDOUT_SLACK_CHARS, "stdout is too long")
    _require(0 <= result.stdout_dropped < 1 << 62, "stdout_dropped is out of range")
    _require(len(result.spans) <= limits.max_spans * 2 + 1, "there are too many spans")
    _require(len(result.cites) <= limits.max_spans * 2 + 1, "there are too many cites")
    _require(len(result.not_kept) <= MAX_REQUESTS, "there are too many names not kept")
    _require(all(len(note) <= MAX_TEXT_CHARS for note in result.not_kept), "a not_kept note is too long")
    if result.final is not None:
        _require(len(result.final.answer) <= limits.answer_chars, "the answer is too long")
    if result.error is not None:
        texts = (result.error.code, result.error.message, result.error.traceback)
        _require(all(len(text) <= MAX_TEXT_CHARS for text in texts), "the error is too long")
    _require(len(result.yielded or "") <= MAX_TEXT_CHARS, "the yield reason is too long")


def _check_json(result: StepResult) -> None:
    check_value(result.state)
    check_value(result.variables)
    check_value(result.final.value if result.final else None)
    for request in result.requests:
        check_value([request.schema, request.metadata, request.filters, request.arguments])


def check_value(value: Any) -> None:
    """Refuse what JSON stores cannot keep: NaN, infinities, integers beyond 64 bits, great depth."""
    layer: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        layer = [item for outer in layer for item in _items(outer)]
        if not layer:
            return
    raise ReplyMalformed(f"a value is nested more than {MAX_DEPTH} deep")


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, list):
        return value
    if isinstance(value, int):
        _require(-(1 << 63) <= value < 1 << 64, "an integer has more than 64 bits")
    if isinstance(value, float):
        _require(math.isfinite(value), "a number is not finite")
    return ()


def readable_ranges(step: StepRequest, corpus: Corpus) -> dict[int, tuple[int, int]]:
    """What the step may have read: by doc_index, the window `[start_char, end_char)`.

    Two windows of one document count as the one that covers both.
    """
    lengths = [document.char_length if document.readable else 0 for document in corpus.documents]
    if step.views is None:
        return {index: (0, length) for index, length in enumerate(lengths)}
    ranges: dict[int, tuple[int, int]] = {}
    for view in step.views:
        end = lengths[view.doc_index] if view.end_char is None else view.end_char
        start, stop = ranges.get(view.doc_index, (view.start_char, end))
        ranges[view.doc_index] = (min(start, view.start_char), max(stop, end))
    return ranges


def _within(doc_index: int, start: int, end: int, ranges: dict[int, tuple[int, int]]) -> bool:
    first, last = ranges.get(doc_index, (1, 0))
    return first <= start <= end <= last


def _check_span(span: SpanEntry, ranges: dict[int, tuple[int, int]]) -> None:
    _require(len(span.tag or "") <= MAX_NAME_CHARS, "a span's tag is too long")
    if span.doc_index == -1:
        scanned = (span.tag or "").startswith("scan:") and 0 <= span.start_char <= span.end_char < 1 << 62
        _require(scanned, "a span of the whole corpus is not a scan")
    else:
        inside = _within(span.doc_index, span.start_char, span.end_char, ranges)
        _require(inside, "a span lies outside the documents")


def _check_cite(cite: Cite, ranges: dict[int, tuple[int, int]]) -> None:
    _require(
        _within(cite.doc_index, cite.start_char, cite.end_char, ranges), "a cite lies outside the documents"
    )
    _require(len(cite.note or "") <= MAX_TEXT_CHARS, "a cite's note is too long")


def _check_requests(
    requests: Sequence[SubcallRequest], step: StepRequest, ranges: dict[int, tuple[int, int]]
) -> None:
    _require(len(requests) <= MAX_REQUESTS, "there are too many requests")
    _require(len({request.key for request in requests}) == len(requests), "two requests have one key")
    for request in requests:
        _require(0 < len(request.key) <= MAX_NAME_CHARS, "a request's key has no sensible length")
        _require(len(request.model or "") <= MAX_NAME_CHARS, "a model's name is too long")
        _require(len(request.prompt) <= step.limits.prompt_chars, "a prompt is too long")
        _require(0 <= request.temperature <= 2, "a temperature is out of range")
        _require(request.max_tokens is None or 0 < request.max_tokens < 1 << 31, "max_tokens is out of range")
        _require(0 < request.k <= 10_000, "k is out of range")
        _check_tool(request, step)
        for view in request.views or ():
            _check_view(view, ranges)


def _check_tool(request: SubcallRequest, step: StepRequest) -> None:
    if request.kind != "tool":
        _require(
            request.tool is None and request.arguments is None, "a tool is called by another kind of call"
        )
        return
    tool = next((tool for tool in step.tools if tool.name == request.tool), None)
    arguments = request.arguments
    _require(request.called and tool is not None and arguments is not None, "there is no such tool")
    if tool is not None and arguments is not None:
        _require(set(arguments) <= set(tool.params), "a tool is given what it does not take")
        size = len(json.dumps(arguments, ensure_ascii=False))
        _require(size <= step.limits.prompt_chars, "the arguments of a tool are too long")


def _check_view(view: View, ranges: dict[int, tuple[int, int]]) -> None:
    end = ranges.get(view.doc_index, (0, 0))[1] if view.end_char is None else view.end_char
    _require(_within(view.doc_index, view.start_char, end, ranges), "a view lies outside the documents")


def _check_usage(result: StepResult) -> None:
    usage = result.usage
    seconds = (usage.wall_seconds, usage.cpu_seconds)
    _require(all(0 <= value < 1e7 for value in seconds), "the time used is out of range")
    _require(0 <= usage.peak_memory_bytes < 1 << 50, "the memory used is out of range")
