import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.core.corpus import Corpus, Document, IngestStatus
from rlm_rs.runners.exchange import ReplyMalformed
from rlm_rs.runners.reply import parse_reply
from rlm_rs.sandbox.protocol import (
    Cite,
    Final,
    SpanEntry,
    StepError,
    StepLimits,
    StepRequest,
    StepResult,
    StepUsage,
    SubcallRequest,
    ToolDescription,
    View,
    to_json,
)

CORPUS = Corpus(
    "t",
    "s",
    tuple(
        Document(f"d{n}", n, f"{n}.txt", "text/plain", IngestStatus.PARSED, char_length=100) for n in range(3)
    ),
)
STEP = StepRequest("e", 1, "code", limits=StepLimits(stdout_chars=50, max_spans=5, prompt_chars=100))
REQUEST = SubcallRequest("k", "llm", "why?")

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def parse(body: bytes, step: StepRequest = STEP) -> StepResult:
    return parse_reply(body, step, CORPUS)


def body(**fields: Any) -> bytes:
    return json.dumps({"status": "finished", **fields}).encode()


def refused(reply: bytes, step: StepRequest = STEP) -> str:
    with pytest.raises(ReplyMalformed) as caught:
        parse(reply, step)
    return str(caught.value)


HONEST = StepResult(
    status="finished",
    stdout="hello",
    stdout_dropped=3,
    error=StepError("ValueError", "no", 3, "line 3"),
    state={"a": [1, {"b": None}]},
    variables={"x": 1.5},
    not_kept=("y: a set",),
    spans=(SpanEntry(0, 0, 100), SpanEntry(-1, 0, 300, "scan:find")),
    cites=(Cite(2, 5, 9, "here"),),
    requests=(REQUEST, SubcallRequest("c", "rlm", "q", views=(View(1, 3, None),))),
    final=Final("42", 42),
    yielded="more",
    usage=StepUsage(0.1, 0.2, 1 << 20),
)


def test_an_honest_result_is_read_as_it_was_sent() -> None:
    assert parse(to_json(HONEST)) == HONEST


def test_an_honest_suspension_is_read_as_it_was_sent() -> None:
    suspended = StepResult(status="suspended", requests=(REQUEST,), usage=StepUsage(0.1, 0.1, 5))
    assert parse(to_json(suspended)) == suspended


@given(json_values)
def test_any_json_state_comes_through(value: Any) -> None:
    result = StepResult(status="finished", state={"value": value}, variables={"value": value})
    assert parse(to_json(result)).state == {"value": value}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    for reply in (noise, b'{"status":"finished","stdout":"' + noise + b'"}'):
        with suppress(ReplyMalformed):
            assert parse(reply).status in ("finished", "suspended")


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"null",
        b"[]",
        b'"finished"',
        b"{",
        b'{"status":"finished"} x',
        b'{"status":"finished","stdout":"\xff\xfe"}',
        b'{"status":"finished","stdout":"\\ud800"}',
        b'{"status":"finished","stdout":"a\x00b"}',
        b"[" * 100_000,
        b'{"status":"finished","state":' + b'{"a":' * 150 + b"1" + b"}" * 150 + b"}",
        b'{"status":"finished","state":{"n":' + b"9" * 1_000_000 + b"}}",
        b'{"status":"finished","state":{"n":18446744073709551616}}',
        b'{"status":"finished","state":{"n":NaN}}',
        b'{"status":"finished","state":{"n":-Infinity}}',
        b'{"status":"finished","state":{"n":1e999}}',
    ],
    ids=lambda reply: repr(reply[:40]),
)
def test_what_is_no_plain_json_object_is_refused(reply: bytes) -> None:
    refused(reply)


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "done"},
        {"status": None},
        {"surplus": 1},
        {"stdout": 5},
        {"stdout": None},
        {"stdout_dropped": "3"},
        {"stdout_dropped": 3.0},
        {"stdout_dropped": -1},
        {"stdout_dropped": True},
        {"error": "bad"},
        {"error": {"code": "X"}},
        {"error": {"code": "X", "message": "m", "line": "3"}},
        {"state": []},
        {"state": None},
        {"variables": "x"},
        {"not_kept": "abc"},
        {"not_kept": [1]},
        {"spans": {}},
        {"spans": [[0, 0, 1]]},
        {"final": "answer"},
        {"final": {"answer": 42}},
        {"usage": None},
        {"usage": {"wall_seconds": "1"}},
        {"requests": [{"key": "k", "kind": "shell", "prompt": "ls"}]},
    ],
    ids=str,
)
def test_a_field_of_another_shape_is_refused(fields: dict[str, Any]) -> None:
    refused(body(**fields))


def span(**fields: Any) -> dict[str, Any]:
    return {"doc_index": 0, "start_char": 0, "end_char": 1, **fields}


@pytest.mark.parametrize(
    "forged",
    [
        {"doc_index": 3},
        {"doc_index": -2},
        {"doc_index": -1},
        {"doc_index": -1, "tag": "context"},
        {"doc_index": -1, "start_char": -5, "tag": "scan:find"},
        {"start_char": -1},
        {"end_char": 101},
        {"start_char": 5, "end_char": 4},
        {"end_char": 10**15},
        {"tag": "t" * 2000},
    ],
    ids=str,
)
def test_a_span_outside_the_documents_is_refused(forged: dict[str, Any]) -> None:
    assert "span" in refused(body(spans=[span(**forged)]))


def test_a_cite_outside_the_documents_is_refused() -> None:
    assert "cite" in refused(body(cites=[{"doc_index": 1, "start_char": 0, "end_char": 101}]))


def test_a_span_outside_the_windows_of_the_step_is_refused() -> None:
    step = replace(STEP, views=(View(1, 10, 20),))
    inside = body(spans=[span(doc_index=1, start_char=10, end_char=20)])
    assert parse(inside, step).spans == (SpanEntry(1, 10, 20),)
    refused(body(spans=[span(doc_index=1, start_char=9, end_char=20)]), step)
    refused(body(spans=[span(doc_index=0)]), step)


def test_a_document_that_is_not_readable_has_no_spans() -> None:
    failed = replace(CORPUS.documents[0], ingest_status=IngestStatus.FAILED)
    corpus = replace(CORPUS, documents=(failed, *CORPUS.documents[1:]))
    with pytest.raises(ReplyMalformed):
        parse_reply(body(spans=[span()]), STEP, corpus)


@pytest.mark.parametrize(
    "fields",
    [
        {"stdout": "x" * 5000},
        {"spans": [span()] * 50},
        {"yielded": "x" * 1_000_000},
        {"error": {"code": "X", "message": "m" * 1_000_000}},
        {"not_kept": ["n"] * 100_000},
        {"stdout_dropped": 1 << 63},
        {"usage": {"wall_seconds": -1.0}},
        {"usage": {"cpu_seconds": 1e300}},
        {"usage": {"peak_memory_bytes": -5}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_is_beyond_the_limits_is_refused(fields: dict[str, Any]) -> None:
    refused(body(**fields))


def test_an_answer_beyond_its_limit_is_refused() -> None:
    step = replace(STEP, limits=StepLimits(answer_chars=10))
    assert "answer" in refused(body(final={"answer": "x" * 11}), step)


def asked(**fields: Any) -> dict[str, Any]:
    return {"key": "k", "kind": "llm", "prompt": "p", **fields}


@pytest.mark.parametrize(
    "requests",
    [
        [asked(), asked()],
        [asked(key="")],
        [asked(key="k" * 2000)],
        [asked(prompt="p" * 101)],
        [asked(temperature=-1.0)],
        [asked(temperature=9.0)],
        [asked(max_tokens=0)],
        [asked(max_tokens=1 << 40)],
        [asked(k=0)],
        [asked(k=10**9)],
        [asked(model="m" * 2000)],
        [asked(views=[{"doc_index": 7}])],
        [asked(views=[{"doc_index": 0, "start_char": 90, "end_char": 200}])],
        [asked(metadata={"n": 2**70})],
    ],
    ids=lambda requests: str(requests)[:60],
)
def test_requests_no_step_could_make_are_refused(requests: list[dict[str, Any]]) -> None:
    refused(body(requests=requests))


ECHO = ToolDescription("echo", params=("text",), required=("text",), positional=1)


def called(**fields: Any) -> dict[str, Any]:
    return asked(kind="tool", called=True, tool="echo", arguments={"text": "a"}, **fields)


def test_a_call_of_a_tool_there_is_comes_through() -> None:
    request = parse(body(requests=[called()]), replace(STEP, tools=(ECHO,))).requests[0]
    assert (request.tool, request.arguments) == ("echo", {"text": "a"})


@pytest.mark.parametrize(
    "request_",
    [
        called() | {"tool": "shell"},
        called() | {"tool": None},
        called() | {"called": False},
        called() | {"arguments": None},
        called() | {"arguments": {"other": 1}},
        called() | {"arguments": {"text": "a" * 200}},
        called() | {"arguments": {"text": 2**70}},
        asked(tool="echo"),
        asked(arguments={"text": "a"}),
    ],
    ids=lambda request: str(request)[:80],
)
def test_calls_of_tools_no_step_could_make_are_refused(request_: dict[str, Any]) -> None:
    refused(body(requests=[request_]), replace(STEP, tools=(ECHO,)))


def test_a_suspension_at_nothing_is_refused() -> None:
    assert "suspended" in refused(b'{"status":"suspended"}')


def test_a_suspension_that_also_answers_is_refused() -> None:
    reply = {"status": "suspended", "requests": [asked()], "final": {"answer": "x"}}
    assert "suspended" in refused(json.dumps(reply).encode())


def test_a_crowd_of_values_is_refused_before_it_is_built() -> None:
    crowd = b'{"status":"finished","state":{"a":[' + b"[]," * 3_000_000 + b"[]]}}"
    assert "values" in refused(crowd)


def test_commas_inside_a_long_answer_are_no_crowd() -> None:
    answer = "1," * 1_500_000
    assert parse(to_json(StepResult("finished", final=Final(answer)))).final == Final(answer)
