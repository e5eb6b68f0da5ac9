"""Every way a provider fails, over a real socket: how often it is asked, and what the user is told."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from rlm_rs.core.errors import ProviderFailed
from rlm_rs.core.model import ModelRequest
from rlm_rs.providers.openai import OpenAIConfig, OpenAIProvider
from rlm_rs.testing.openai_script import HouseRules, ServedReply

Ask: TypeAlias = Callable[..., ModelRequest]
KEY = "sk-test-4242424242"


def fault(name: str, **more: Any) -> ServedReply:
    return ServedReply("never seen", fault=name, **more)


async def failure_of(provider: OpenAIProvider, request: ModelRequest) -> ProviderFailed:
    with pytest.raises(ProviderFailed) as caught:
        await provider.complete(request)
    shown = "".join(traceback.format_exception(caught.value))
    assert KEY not in shown
    assert "\n" not in caught.value.message
    return caught.value


@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
@pytest.mark.parametrize(
    "name",
    ["500", "502", "503", "529", "408", "409", "429", "malformed", "html", "no_choices", "drop", "close"],
)
async def test_what_may_pass_is_asked_again(serve: Any, ask: Ask, name: str, responses: bool) -> None:
    server, provider = await serve([fault(name), fault(name), "well"], use_responses=responses)
    reply = await provider.complete(ask())
    assert reply.text == "well"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("name", "kind", "status"),
    [
        ("500", "server", 500),
        ("429", "rate_limit", 429),
        ("malformed", "malformed", 200),
        ("html", "malformed", 200),
        ("no_choices", "malformed", 200),
        ("drop", "connection", None),
        ("close", "connection", None),
    ],
)
async def test_it_gives_up_after_the_attempts_allowed(
    serve: Any, ask: Ask, name: str, kind: str, status: int | None
) -> None:
    server, provider = await serve([fault(name)] * 5)
    error = await failure_of(provider, ask())
    assert len(server.requests) == 3
    assert error.details == error.details | {"kind": kind, "status": status, "attempts": 3, "retryable": True}
    assert "(3 attempts)" in error.message


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("400", "bad_request", "refused the request (400)"),
        ("401", "auth", "Check OPENAI_API_KEY"),
        ("403", "auth", "Check OPENAI_API_KEY"),
        ("404", "not_found", "no model 'gpt-4o'"),
        ("quota", "quota", "billing"),
        ("context_length", "context_length", "8192 tokens"),
        ("content_filter", "content_filter", "content filter"),
        ("length", "length", "before it wrote any text"),
    ],
)
@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
async def test_what_cannot_pass_is_asked_once(
    serve: Any, ask: Ask, name: str, kind: str, says: str, responses: bool
) -> None:
    server, provider = await serve([fault(name), "never asked"], use_responses=responses)
    error = await failure_of(provider, ask())
    assert len(server.requests) == 1
    assert error.details["kind"] == kind
    assert error.details["retryable"] is False
    assert error.details["attempts"] == 1
    assert says in error.message


async def test_one_attempt_means_one_call(serve: Any, ask: Ask) -> None:
    server, provider = await serve([fault("500"), "never asked"], max_retries=1)
    await failure_of(provider, ask())
    assert len(server.requests) == 1


async def test_zero_attempts_still_ask_once(serve: Any, ask: Ask) -> None:
    _, provider = await serve(["well"], max_retries=0)
    assert (await provider.complete(ask())).text == "well"


@pytest.mark.parametrize(
    ("name", "at_least"), [("retry_after:0.3", 0.3), ("retry_after_ms:200", 0.2), ("retry_after_date:2", 0.9)]
)
async def test_the_wait_the_provider_asks_for_is_kept(
    serve: Any, ask: Ask, name: str, at_least: float
) -> None:
    server, provider = await serve([fault(name), "well"])
    await provider.complete(ask())
    first, second = server.requests
    assert at_least <= second.time - first.time < at_least + 20


async def test_a_wait_beyond_the_deadline_is_not_begun(serve: Any, ask: Ask) -> None:
    server, provider = await serve([fault("retry_after:60"), "well"], total_seconds=5)
    started = time.monotonic()
    error = await failure_of(provider, ask())
    assert time.monotonic() - started < 30
    assert len(server.requests) == 1
    assert "due in 60 s" in error.message


async def test_an_answer_that_never_comes_is_a_timeout(serve: Any, ask: Ask) -> None:
    server, provider = await serve([fault("hang")] * 3, timeout_seconds=0.1, max_retries=2)
    error = await failure_of(provider, ask())
    assert error.details["kind"] == "timeout"
    assert "OPENAI_TIMEOUT_SECONDS" in error.message
    await server.until(lambda requests: [one.outcome for one in requests] == ["disconnected"] * 2)


async def test_an_answer_that_trickles_in_is_a_timeout(serve: Any, ask: Ask) -> None:
    _, provider = await serve([fault("trickle")], timeout_seconds=0.3, max_retries=1)
    assert (await failure_of(provider, ask())).details["kind"] == "timeout"


async def test_the_requests_own_timeout_comes_first(serve: Any, ask: Ask) -> None:
    _, provider = await serve([fault("hang")], timeout_seconds=60, max_retries=1)
    error = await failure_of(provider, ask(timeout=0.1))
    assert "within 0.1 s" in error.message


async def test_all_attempts_together_keep_the_deadline(serve: Any, ask: Ask) -> None:
    _, provider = await serve([fault("hang")] * 9, timeout_seconds=60, max_retries=9, total_seconds=0.3)
    started = time.monotonic()
    await failure_of(provider, ask())
    assert time.monotonic() - started < 30


async def test_cancelling_closes_the_connection(serve: Any, ask: Ask) -> None:
    server, provider = await serve([fault("hang"), "well"])
    task = asyncio.create_task(provider.complete(ask()))
    await server.until(lambda requests: len(requests) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.until(lambda requests: requests[0].outcome == "disconnected")
    assert (await provider.complete(ask())).text == "well"


async def test_cancelling_ends_the_wait_between_attempts(serve: Any, ask: Ask) -> None:
    server, provider = await serve([fault("retry_after:30"), "well"])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await provider.complete(ask())
    assert len(server.requests) == 1


async def test_a_refused_key_is_never_repeated(serve: Any, ask: Ask) -> None:
    _, provider = await serve(["never"], house=HouseRules(keys=("another",)))
    error = await failure_of(provider, ask())
    assert error.message == "The provider refused the API key (401). Check OPENAI_API_KEY."


async def test_a_key_echoed_in_any_error_is_hidden(serve: Any, ask: Ask) -> None:
    def echo(_: object) -> ServedReply:
        return ServedReply(fault=f"unsupported:{KEY}")

    _, provider = await serve(echo)
    error = await failure_of(provider, ask())
    assert "[key]" in error.message


async def test_azure_names_its_own_settings(serve: Any, ask: Ask) -> None:
    _, provider = await serve(["never"], house=HouseRules(keys=("another",)), azure=True)
    assert "AZURE_OPENAI_API_KEY" in (await failure_of(provider, ask())).message


async def test_an_unknown_model_is_named_with_its_settings(serve: Any, ask: Ask) -> None:
    _, provider = await serve(["never"], house=HouseRules(models=("gpt-5",)))
    error = await failure_of(provider, ask(model="gpt-9-typo"))
    assert "'gpt-9-typo'" in error.message
    assert "DEFAULT_ROOT_MODEL" in error.message


async def test_a_wrong_path_points_at_the_url(serve: Any, ask: Ask) -> None:
    server, _ = await serve([])
    wrong = OpenAIProvider(OpenAIConfig(api_key=KEY, base_url=server.origin + "/api"))
    error = await failure_of(wrong, ask())
    await wrong.close()
    assert error.details["kind"] == "not_found"
    assert f"{server.origin}/api" in error.message
    assert "OPENAI_BASE_URL" in error.message


async def test_an_unreachable_url_is_named_without_its_password(ask: Ask, unused_tcp_port: int) -> None:
    url = f"http://user:hunter2@127.0.0.1:{unused_tcp_port}/v1"
    config = OpenAIConfig(api_key=KEY, base_url=url, retry_base_seconds=0.01)
    provider = OpenAIProvider(config)
    error = await failure_of(provider, ask())
    await provider.close()
    assert error.details["kind"] == "connection"
    assert f"http://127.0.0.1:{unused_tcp_port}/v1" in error.message
    assert "OPENAI_BASE_URL" in error.message
    assert "hunter2" not in error.message


async def test_tokens_paid_for_an_empty_reply_are_in_the_details(serve: Any, ask: Ask) -> None:
    _, provider = await serve([fault("length")])
    details = (await failure_of(provider, ask("word " * 100))).details
    assert details["input_tokens"] > 100
    assert details["reasoning_tokens"] == details["output_tokens"] > 0


async def test_an_empty_reply_that_simply_ended_is_a_reply(serve: Any, ask: Ask) -> None:
    _, provider = await serve([fault("empty")])
    reply = await provider.complete(ask())
    assert (reply.text, reply.finish_reason) == ("", "stop")


async def test_the_request_id_is_in_the_details(serve: Any, ask: Ask) -> None:
    _, provider = await serve([fault("400")])
    assert "request_id" in (await failure_of(provider, ask())).details


@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
async def test_a_reply_without_end_is_not_read_to_its_end(serve: Any, ask: Ask, responses: bool) -> None:
    _, provider = await serve(["x" * 100_000] * 3, use_responses=responses, max_reply_bytes=50_000)
    error = await failure_of(provider, ask())
    assert error.details["kind"] == "malformed"
    assert "longer than 50,000 bytes" in error.message
