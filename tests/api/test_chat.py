"""The official OpenAI client, pointed at this service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import openai
import pytest
from api_server import LEASE, Running, code_of, running, until
from scripted_http import said, scripted

from rlm_rs.core.errors import ProviderFailed
from rlm_rs.testing.models import ScriptedModel

FILLER = "The yard was swept on Tuesday and nothing else happened there. \n"


@pytest.fixture
def client(server: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key("chat"), max_retries=0) as found:
        yield found


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert "rlm" in [model.id for model in client.models.list()]


def test_a_long_prompt_gets_a_cited_answer(client: openai.OpenAI) -> None:
    corpus = FILLER * 8_000 + LEASE + FILLER * 8_000
    done = client.chat.completions.create(
        model="rlm",
        messages=[
            {"role": "system", "content": corpus},
            {"role": "user", "content": "How can the lease be ended for convenience?"},
        ],
    )
    message = done.choices[0].message
    assert "six months" in (message.content or "")
    assert done.choices[0].finish_reason == "stop"
    assert done.usage is not None
    citation = (message.model_extra or {})["citations"][0]
    assert "six months" in corpus[citation["start_char"] : citation["end_char"]]


def test_a_stream_sends_turns_as_reasoning_and_the_answer_as_content(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="rlm",
            messages=[{"role": "user", "content": f"{LEASE * 30}\n\nHow can the lease be ended?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    reasoning = "".join((delta.model_extra or {}).get("reasoning_content", "") for delta in deltas)
    assert "```repl" in reasoning
    assert "six months" in "".join(delta.content or "" for delta in deltas)
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage is not None


def test_null_is_as_good_as_left_out(acme: httpx2.Client) -> None:
    asked = {"model": "rlm", "messages": [{"role": "user", "content": f"{LEASE}\n\nHow can it end?"}]}
    done = acme.post(
        "/v1/chat/completions", json={**asked, "n": None, "stream": None, "stream_options": None}
    )
    assert done.status_code == 200, done.text


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_ends_the_execution(tmp_path: Path, stream: bool) -> None:
    with running(tmp_path, ScriptedModel(lambda _: "", latency=600)) as server, server.client() as client:
        body = {"model": "rlm", "stream": stream, "messages": [{"role": "user", "content": "What is it?"}]}
        with (
            pytest.raises(httpx2.ReadTimeout),
            client.stream("POST", "/v1/chat/completions", json=body, timeout=2) as answer,
        ):
            answer.read()

        def is_cancelled() -> bool:
            found = client.get("/v1/executions").json()["executions"]
            return [one["status"] for one in found] == ["CANCELLED"]

        until(is_cancelled)


@pytest.mark.parametrize("message", ["%PDF-1.4 garbage " * 400, "\0" * 5000])
def test_a_message_is_text_whatever_it_begins_with(client: openai.OpenAI, message: str) -> None:
    done = client.chat.completions.create(
        model="rlm",
        messages=[{"role": "system", "content": message}, {"role": "user", "content": "What is garbage?"}],
    )
    assert done.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("stream", [False, True])
def test_messages_that_cannot_be_read_are_an_error_at_once(tmp_path: Path, stream: bool) -> None:
    unreadable = {"code": "PARSE_TOO_LARGE", "message": "It is too large. Split it."}
    parser = said({"status": "failed", "error": unreadable})
    body = {"model": "rlm", "stream": stream, "messages": [{"role": "user", "content": "What is it?"}]}
    with (
        scripted([parser]) as (url, _),
        running(tmp_path, llm_provider="fake", parser_service_url=url) as server,
        server.client() as client,
    ):
        answer = client.post("/v1/chat/completions", json=body)
    assert (answer.status_code, code_of(answer)) == (502, "PARSER_ERROR")
    assert answer.json()["error"]["message"] == "conversation.txt: It is too large. Split it."
    assert answer.json()["error"]["details"]["failure_code"] == "PARSE_TOO_LARGE"


def test_a_stream_that_ends_in_an_error_says_whose_request_it_was(tmp_path: Path) -> None:
    failing = ScriptedModel(lambda _: ProviderFailed(reason="there is none"))
    body = {"model": "rlm", "stream": True, "messages": [{"role": "user", "content": "What is it?"}]}
    with running(tmp_path, failing) as server, server.client() as client:
        answer = client.post("/v1/chat/completions", json=body)
    last, done = answer.text.strip().split("\n\n")[-2:]
    error = json.loads(last.removeprefix("data: "))["error"]
    assert done == "data: [DONE]"
    assert error["request_id"] == answer.headers["X-Request-ID"]
    assert set(error) == {"code", "message", "request_id", "details"}


def test_errors_reach_the_client_as_its_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        client.chat.completions.create(
            model="gpt-none", messages=[{"role": "user", "content": "How can the lease be ended?"}]
        )
    assert caught.value.code == "VALIDATION_ERROR"
