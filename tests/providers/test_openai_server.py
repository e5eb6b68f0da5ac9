"""The shipped OpenAI test server: the official SDK understands it, and its log proves what was asked."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai import APIConnectionError, AsyncOpenAI, AuthenticationError, BadRequestError, NotFoundError

from rlm_rs.core.model import ToolCall
from rlm_rs.testing.openai_script import HouseRules, Prompt, ServedReply, load_script, parse_script
from rlm_rs.testing.openai_server import OpenAITestServer

USER: Any = [{"role": "user", "content": "Hello?"}]


def client_of(server: OpenAITestServer, key: str = "k") -> AsyncOpenAI:
    return AsyncOpenAI(api_key=key, base_url=server.base_url, max_retries=0)


async def said(server: OpenAITestServer, text: str = "Hello?", model: str = "gpt-4o") -> Any:
    async with client_of(server) as client:
        messages: Any = [{"role": "user", "content": text}]
        reply = await client.chat.completions.create(model=model, messages=messages)
        return reply.choices[0].message.content


@pytest.fixture
async def talkative() -> AsyncIterator[OpenAITestServer]:
    reply = ServedReply("words " * 20, reasoning="hm " * 20, tool_calls=(ToolCall("repl", '{"a": 1}'),))
    async with OpenAITestServer(lambda _: reply) as server:
        yield server


async def test_a_streamed_chat_completion_is_the_whole_one_in_pieces(talkative: OpenAITestServer) -> None:
    async with client_of(talkative) as client:
        stream: Any = await client.chat.completions.create(
            model="gpt-4o", messages=USER, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        whole = await client.chat.completions.create(model="gpt-4o", messages=USER)
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    message = whole.choices[0].message
    assert "".join(delta.content or "" for delta in deltas) == message.content == "words " * 20
    assert "".join(getattr(delta, "reasoning_content", "") for delta in deltas) == "hm " * 20
    assert deltas[-2].tool_calls[0].function.arguments == '{"a": 1}'
    assert chunks[-1].usage == whole.usage
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "tool_calls"


async def test_a_streamed_response_is_the_whole_one_in_pieces(talkative: OpenAITestServer) -> None:
    async with client_of(talkative) as client:
        stream: Any = await client.responses.create(model="gpt-4o", input="Hello?", stream=True)
        events = [event async for event in stream]
        whole = await client.responses.create(model="gpt-4o", input="Hello?")
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text == "words " * 20
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == whole.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [item.type for item in whole.output] == ["reasoning", "message", "function_call"]


async def test_a_stream_can_break_in_the_middle() -> None:
    async with (
        OpenAITestServer([ServedReply("words " * 99, fault="drop")]) as server,
        client_of(server) as client,
    ):
        stream: Any = await client.chat.completions.create(model="m", messages=USER, stream=True)
        with pytest.raises(Exception, match=r"incomplete|peer|closed|onnection"):
            [chunk async for chunk in stream]


async def test_instructions_and_parts_count_as_prompt() -> None:
    async with OpenAITestServer(lambda prompt: prompt.text) as server, client_of(server) as client:
        part: Any = [{"role": "user", "content": [{"type": "input_text", "text": "two"}]}]
        reply = await client.responses.create(model="m", instructions="one", input=part)
    assert reply.output_text == "one\ntwo"


async def test_the_model_list_is_served() -> None:
    async with (
        OpenAITestServer([], house=HouseRules(models=("a", "b"))) as server,
        client_of(server) as client,
    ):
        assert [model.id async for model in client.models.list()] == ["a", "b"]


async def test_wrong_keys_models_and_bodies_are_refused_as_by_the_service() -> None:
    house = HouseRules(keys=("right",), models=("gpt-5",), context_tokens={"*": 10})
    async with OpenAITestServer(lambda _: "no", house=house) as server:
        async with client_of(server, "wrong") as client:
            with pytest.raises(AuthenticationError):
                await client.models.list()
        async with client_of(server, "right") as client:
            create: Any = client.chat.completions.create
            with pytest.raises(NotFoundError):
                await create(model="gpt-9", messages=USER)
            with pytest.raises(BadRequestError, match="max_completion_tokens"):
                await create(model="gpt-5", messages=USER, max_tokens=5)
            with pytest.raises(BadRequestError, match="context length"):
                await create(model="gpt-5", messages=[{"role": "user", "content": "long " * 100}])
            with pytest.raises(BadRequestError, match="messages"):
                await create(model="gpt-5", messages=[])
            with pytest.raises(BadRequestError, match="Invalid type"):
                await create(model="gpt-5", messages=["text"])


async def test_several_requests_share_a_connection() -> None:
    async with OpenAITestServer(lambda _: "fine") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.origin.rsplit(":", 1)[1]))
        body = json.dumps({"model": "m", "messages": USER}).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
        for _ in range(3):
            writer.write(head + body)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            length = int((await reader.readuntil(b"\r\n\r\n")).split(b"Content-Length: ")[1].split(b"\r")[0])
            assert json.loads(await reader.readexactly(length))["choices"]
        writer.close()


async def test_what_is_not_http_is_answered_400() -> None:
    async with OpenAITestServer([]) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.origin.rsplit(":", 1)[1]))
        writer.write(b"nonsense\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        writer.close()


async def test_rules_answer_before_the_roots_replies_in_order() -> None:
    script, house = parse_script(
        {
            "root_model": "gpt-5",
            "root": ["first", {"reply": "second", "latency": 0.01}],
            "rules": [
                {"model": "gpt-5-*", "contains": "page 7", "reply": "seven", "times": 1},
                {"model": "gpt-5-*", "turn": 0, "reply": "sub"},
            ],
            "default": "default",
        }
    )
    async with OpenAITestServer(script, house=house) as server:
        asked = [("root", "gpt-5"), ("page 7", "gpt-5-nano"), ("page 7", "gpt-5-nano"), ("x", "gpt-5")]
        assert [await said(server, *one) for one in asked] == ["first", "seven", "sub", "second"]
        assert await said(server, "more", "gpt-5") == "default"


async def test_a_prompt_the_script_does_not_know_is_refused() -> None:
    async with OpenAITestServer(["only one"]) as server:
        await said(server)
        with pytest.raises(BadRequestError, match="no reply"):
            await said(server)


async def test_an_error_in_a_script_function_is_raised_when_the_server_is_left() -> None:
    def script(_: Prompt) -> str:
        raise AssertionError("the test's own check")

    async def run() -> None:
        async with OpenAITestServer(script) as server:
            with pytest.raises(APIConnectionError):
                await said(server)

    with pytest.raises(AssertionError, match="own check"):
        await run()


@pytest.mark.parametrize(
    "entry",
    [
        {"rulez": []},
        {"rules": [{"reply": "x", "fault": "explode"}]},
        {"rules": [{"reply": "x", "contain": "y"}]},
        {"rules": ["x"]},
        {"root": [{"reply": "x", "fault": "unsupported:"}]},
        {"root": [7]},
    ],
)
def test_a_wrong_script_is_refused(entry: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(json.dumps(entry))
    with pytest.raises(ValueError, match=r"script\.json"):
        load_script(path)


async def test_the_log_shows_prompts_overlap_and_ends(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    async with OpenAITestServer(lambda _: ServedReply("fine", latency=0.1), log=log) as server:
        await asyncio.gather(*(said(server, f"prompt {n % 2}") for n in range(4)))
        lines = [json.loads(line) for line in log.read_text().splitlines()]
    asked = [line for line in lines if line["event"] == "request"]
    done = [line for line in lines if line["event"] == "done"]
    assert sorted(line["concurrency"] for line in asked) == [1, 2, 3, 4]
    assert len({line["prompt_sha256"] for line in asked}) == 2
    assert [line["status"] for line in asked] == [200] * 4
    assert [line["outcome"] for line in done] == ["sent"] * 4
    assert all(line["seconds"] >= 0.09 for line in done)


async def test_equal_prompts_have_equal_sums_in_both_apis() -> None:
    async with OpenAITestServer(lambda _: "fine") as server, client_of(server) as client:
        await said(server)
        await client.responses.create(model="gpt-5", input="Hello?")
        first, second = server.requests
    assert first.prompt_sha256 == second.prompt_sha256


async def test_it_runs_as_a_program(tmp_path: Path) -> None:
    script, log = tmp_path / "script.json", tmp_path / "log.jsonl"
    script.write_text(json.dumps({"root": ["from the file"]}))
    command = [sys.executable, "-m", "rlm_rs.testing.openai_server", "--port", "0", "--key", "k"]
    process = await asyncio.create_subprocess_exec(
        *command, "--script", str(script), "--log", str(log), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    async with AsyncOpenAI(api_key="k", base_url=url, max_retries=0) as client:
        reply = await client.chat.completions.create(model="m", messages=USER)
    assert json.loads(log.read_text().splitlines()[0])["event"] == "request"
    process.terminate()
    assert await process.wait() == 0
    assert reply.choices[0].message.content == "from the file"


async def test_as_a_program_it_names_what_is_wrong_with_a_script(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"rules": 3}')
    command = [sys.executable, "-m", "rlm_rs.testing.openai_server", "--script", str(script)]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"script.json" in errors
    assert b"Traceback" not in errors
