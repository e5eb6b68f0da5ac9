"""The scripted model that users' tests and dry runs build on."""

from __future__ import annotations

import asyncio
import time

import pytest

from rlm_rs.core.errors import ProviderFailed
from rlm_rs.core.model import Message, ModelReply, ModelRequest, Usage
from rlm_rs.core.pricing import cost
from rlm_rs.testing.models import ScriptedModel


def root(text: str = "question") -> ModelRequest:
    return ModelRequest("scripted-root", (Message("user", text),))


def sub(text: str = "passage") -> ModelRequest:
    return ModelRequest("scripted-sub", (Message("user", text),))


async def test_root_replies_come_in_order_and_requests_are_kept() -> None:
    model = ScriptedModel(["one", "two"])
    assert [(await model.complete(root(text))).text for text in ("a", "b")] == ["one", "two"]
    assert [request.messages[0].content for request in model.requests] == ["a", "b"]


async def test_sub_calls_do_not_use_up_root_replies() -> None:
    model = ScriptedModel(["one", "two"], sub=lambda request: request.messages[0].content.upper())
    texts = [(await model.complete(request)).text for request in (root(), sub("x"), sub("y"), root())]
    assert texts == ["one", "X", "Y", "two"]


async def test_one_text_answers_every_sub_call() -> None:
    model = ScriptedModel([], sub="same")
    assert [(await model.complete(sub())).text for _ in range(3)] == ["same"] * 3


async def test_a_line_can_be_a_function_a_reply_or_an_error() -> None:
    given = ModelReply("whole", "m", Usage(1, 2), finish_reason="length")
    model = ScriptedModel([lambda request: f"{request.prompt_chars}", given, ValueError("as told")])
    assert (await model.complete(root("four"))).text == "4"
    reply = await model.complete(root())
    assert (reply.usage, reply.finish_reason) == (Usage(1, 2), "length")
    with pytest.raises(ValueError, match="as told"):
        await model.complete(root())


async def test_usage_is_a_quarter_of_the_characters() -> None:
    reply = await ScriptedModel(["x" * 9]).complete(root("y" * 13))
    assert reply.usage == Usage(input_tokens=4, output_tokens=3)
    assert cost(reply.model, reply.usage) == 0.0


async def test_a_script_that_runs_out_says_how_far_it_went() -> None:
    model = ScriptedModel(["one"])
    await model.complete(root())
    with pytest.raises(ProviderFailed, match="request 2 to 'scripted-root', and root= has 1"):
        await model.complete(root())


async def test_a_sub_call_without_a_script_says_what_is_missing() -> None:
    with pytest.raises(ProviderFailed, match="sub= has 0"):
        await ScriptedModel(["one"]).complete(sub())


async def test_another_model_is_refused() -> None:
    with pytest.raises(ProviderFailed, match="plays 'big' and 'small', not 'gpt-5'"):
        await ScriptedModel([], root_model="big", sub_model="small").complete(ModelRequest("gpt-5", ()))


async def test_calls_wait_together() -> None:
    model = ScriptedModel([], sub="x", latency=0.1)
    started = time.monotonic()
    replies = await asyncio.gather(*(model.complete(sub()) for _ in range(20)))
    assert 0.1 <= time.monotonic() - started < 1.9
    assert all(reply.seconds >= 0.1 for reply in replies)
