"""OpenAI's adapter over a real socket: what is sent, what is read, and what it learns of a model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from rlm_rs.core.errors import SettingInvalid
from rlm_rs.core.model import Message, ModelRequest, ToolCall
from rlm_rs.providers.openai import OpenAIConfig
from rlm_rs.settings import load_settings
from rlm_rs.testing.openai_script import HouseRules, ServedReply
from rlm_rs.testing.openai_server import OpenAITestServer
from rlm_rs.wiring import wire

Ask: TypeAlias = Callable[..., ModelRequest]
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}
both_apis = pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])


@both_apis
async def test_the_conversation_is_sent_as_it_is(serve: Any, responses: bool) -> None:
    server, provider = await serve(["fine"], use_responses=responses)
    messages = (Message("system", "s"), Message("user", "u"), Message("assistant", "a"), Message("user", "v"))
    await provider.complete(ModelRequest("gpt-4o", messages))
    sent = server.requests[0].body["input" if responses else "messages"]
    assert [(one["role"], one["content"]) for one in sent] == [(m.role, m.content) for m in messages]


@both_apis
async def test_nothing_is_sent_that_was_not_asked_for(serve: Any, ask: Ask, responses: bool) -> None:
    server, provider = await serve(["fine"], use_responses=responses)
    await provider.complete(ask())
    assert server.requests[0].body.keys() == (
        {"model", "input", "store"} if responses else {"model", "messages"}
    )


@both_apis
async def test_everything_in_a_reply_is_read(serve: Any, ask: Ask, responses: bool) -> None:
    call = ToolCall("python", '{"code": "1"}')
    served = ServedReply("text", reasoning="thought " * 8, tool_calls=(call,))
    _, provider = await serve([served], use_responses=responses)
    reply = await provider.complete(ask())
    assert (reply.text, reply.reasoning, reply.tool_calls) == ("text", "thought " * 8, (call,))
    assert (reply.model, reply.finish_reason) == ("gpt-4o", "tool_calls")
    assert reply.usage is not None
    assert reply.usage.reasoning_tokens == 16
    assert reply.usage.output_tokens == 16 + 1 + 4


@both_apis
async def test_cached_input_is_counted(serve: Any, ask: Ask, responses: bool) -> None:
    _, provider = await serve(["one", "two"], use_responses=responses)
    long = "word " * 2000
    first = await provider.complete(ask(long + "A?"))
    second = await provider.complete(ask(long + "B?"))
    assert first.usage.cached_input_tokens == 0
    assert 2000 < second.usage.cached_input_tokens <= second.usage.input_tokens


@both_apis
async def test_a_reply_cut_at_the_limit_says_so(serve: Any, ask: Ask, responses: bool) -> None:
    _, provider = await serve(["x" * 400], use_responses=responses)
    reply = await provider.complete(ask(max_tokens=20))
    assert (reply.text, reply.finish_reason) == ("x" * 80, "length")


async def test_seconds_cover_the_whole_call(serve: Any, ask: Ask) -> None:
    _, provider = await serve([ServedReply(fault="500", latency=0.1), ServedReply("fine", latency=0.1)])
    assert 0.2 <= (await provider.complete(ask())).seconds < 60


async def test_calls_overlap(serve: Any, ask: Ask) -> None:
    server, provider = await serve(lambda _: ServedReply("fine", latency=0.2))
    started = time.monotonic()
    await asyncio.gather(*(provider.complete(ask(f"{n}")) for n in range(50)))
    assert server.max_concurrency == 50
    assert time.monotonic() - started < 9


@both_apis
async def test_a_reasoning_model_is_asked_rightly_the_first_time(
    serve: Any, ask: Ask, responses: bool
) -> None:
    server, provider = await serve(["fine"], use_responses=responses)
    await provider.complete(ask(model="gpt-5", max_tokens=100, temperature=0.0))
    body = server.requests[0].body
    assert len(server.requests) == 1
    assert body["max_output_tokens" if responses else "max_completion_tokens"] == 2048
    assert "temperature" not in body


async def test_a_plain_model_gets_limit_and_temperature(serve: Any, ask: Ask) -> None:
    server, provider = await serve(["fine"])
    await provider.complete(ask(max_tokens=100, temperature=0.0))
    assert server.requests[0].body["max_tokens"] == 100
    assert server.requests[0].body["temperature"] == 0.0


async def test_refused_parameters_are_left_out_and_the_model_remembered(serve: Any, ask: Ask) -> None:
    house = HouseRules(rejects={"newmodel": ("max_tokens", "temperature")})
    server, provider = await serve(lambda _: "fine", house=house)
    request = ask(model="newmodel", max_tokens=100, temperature=0.0)
    await provider.complete(request)
    assert [one.status for one in server.requests] == [400, 400, 200]
    await provider.complete(request)
    assert [one.status for one in server.requests[3:]] == [200]
    assert server.requests[3].body["max_completion_tokens"] == 100
    await provider.complete(ask(model="gpt-4o", max_tokens=7))
    assert server.requests[4].body["max_tokens"] == 7


async def test_a_limit_refused_under_both_names_is_not_sent(serve: Any, ask: Ask) -> None:
    house = HouseRules(rejects={"*": ("max_tokens", "max_completion_tokens")})
    server, provider = await serve(lambda _: "fine", house=house)
    await provider.complete(ask(max_tokens=100))
    assert [one.status for one in server.requests] == [400, 400, 200]
    assert not server.requests[2].body.keys() & {"max_tokens", "max_completion_tokens"}


async def test_parameter_fixes_do_not_use_up_attempts(serve: Any, ask: Ask) -> None:
    house = HouseRules(rejects={"*": ("max_tokens", "temperature")})
    _, provider = await serve(["fine"], house=house, max_retries=1)
    assert (await provider.complete(ask(max_tokens=9, temperature=0.0))).text == "fine"


@both_apis
async def test_a_schema_is_sent_as_response_format(serve: Any, ask: Ask, responses: bool) -> None:
    server, provider = await serve(['{"answer": "x"}'], use_responses=responses)
    await provider.complete(ask(schema=SCHEMA))
    body = server.requests[0].body
    sent = body["text"]["format"] if responses else body["response_format"]["json_schema"]
    assert sent["schema"] == SCHEMA
    assert sent["strict"] is True


async def test_a_schema_no_server_form_takes_goes_into_the_prompt(serve: Any, ask: Ask) -> None:
    house = HouseRules(rejects={"*": ("response_format",)})
    server, provider = await serve(lambda _: "{}", house=house)
    await provider.complete(ask(schema=SCHEMA))
    last = server.requests[-1].body
    assert [one.status for one in server.requests] == [400, 400, 200]
    assert "response_format" not in last
    assert '"answer"' in last["messages"][-1]["content"]


@both_apis
async def test_reasoning_effort_is_sent_for_the_model_it_is_set_for(
    serve: Any, ask: Ask, responses: bool
) -> None:
    server, provider = await serve(lambda _: "fine", reasoning_effort={"o3": "low"}, use_responses=responses)
    await provider.complete(ask(model="o3"))
    await provider.complete(ask(model="gpt-4o"))
    first, second = (one.body for one in server.requests)
    assert (first["reasoning"]["effort"] if responses else first["reasoning_effort"]) == "low"
    assert not second.keys() & {"reasoning", "reasoning_effort"}


async def test_the_effort_of_the_sub_model_is_a_setting(tmp_path: Path, ask: Ask) -> None:
    async with OpenAITestServer(lambda _: "fine") as server:
        settings = load_settings(
            rlm_data_dir=tmp_path,
            openai_base_url=server.base_url,
            openai_api_key="any",
            default_sub_model="thinks",
            subcall_reasoning_effort="low",
        )
        wiring = wire(settings)
        await wiring.ports.provider.complete(ask(model="thinks"))
        await wiring.ports.provider.complete(ask(model="root"))
        await wiring.close()
        assert [one.body.get("reasoning_effort") for one in server.requests] == ["low", None]


async def test_azure_asks_its_deployment_with_its_key(serve: Any, ask: Ask) -> None:
    house = HouseRules(keys=("azure-key",))
    server, provider = await serve(["fine"], azure=True, api_key="azure-key", house=house)
    assert provider.name == "azure_openai"
    assert (await provider.complete(ask(model="my-deployment"))).text == "fine"
    assert server.requests[0].path == "/openai/deployments/my-deployment/chat/completions"


async def test_azure_has_the_responses_api_too(serve: Any, ask: Ask) -> None:
    server, provider = await serve(["fine"], azure=True, use_responses=True)
    assert (await provider.complete(ask())).text == "fine"
    assert server.requests[0].path == "/openai/responses"


async def test_a_server_without_keys_needs_none(serve: Any, ask: Ask) -> None:
    _, provider = await serve(["fine"], api_key="")
    assert (await provider.complete(ask())).text == "fine"


async def test_extra_fields_go_into_the_body(serve: Any, ask: Ask) -> None:
    server, provider = await serve(["fine"], extra_body={"seed": 7})
    await provider.complete(ask())
    assert server.requests[0].body["seed"] == 7


async def test_a_schema_with_odd_values_can_be_sent(serve: Any, ask: Ask) -> None:
    server, provider = await serve(["fine"])
    await provider.complete(ask(schema={"title": "\ud800", "maximum": float("inf")}))
    sent = server.requests[0].body["response_format"]["json_schema"]["schema"]
    assert sent == {"title": "\ufffd", "maximum": None}


@pytest.mark.parametrize("url", ["", "api.openai.com", "ftp://x/v1", "http://", "not a url"])
def test_a_base_url_that_is_none_names_its_setting(url: str) -> None:
    if url == "":
        assert OpenAIConfig(base_url=url).url == "https://api.openai.com/v1"
        return
    with pytest.raises(SettingInvalid, match="OPENAI_BASE_URL"):
        OpenAIConfig(api_key="k", base_url=url)


@pytest.mark.parametrize("key", ["sk-a\n", "“sk-a”", "sk a"])
def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(SettingInvalid, match="OPENAI_API_KEY") as caught:
        OpenAIConfig(api_key=key)
    assert key not in caught.value.message


def test_the_key_is_not_in_the_configuration_as_printed() -> None:
    assert "secret" not in repr(OpenAIConfig(api_key="secret", extra_headers={"x": "secret"}))
