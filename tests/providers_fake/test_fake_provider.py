"""The offline policy as a model provider."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rlm_rs.core.model import Message, ModelRequest
from rlm_rs.core.prompts.render import template
from rlm_rs.core.replies import read_reply
from rlm_rs.providers.fake import FakeProvider
from rlm_rs.testing.provider_contract import ProviderContract


class TestFake(ProviderContract):
    model = "fake-sub"

    @pytest.fixture
    async def provider(self) -> AsyncIterator[FakeProvider]:
        provider = FakeProvider()
        yield provider
        await provider.close()


def root_request(question: str, model: str = "fake-root") -> ModelRequest:
    facts = f"QUESTION\n{question}\n\nCORPUS: 3 documents, 900 characters"
    return ModelRequest(model, (Message("system", template("documents")), Message("user", facts)))


async def test_a_root_prompt_gets_a_step_whatever_the_model_is_called() -> None:
    reply = await FakeProvider().complete(root_request("Who sold the mill?", model="gpt-5"))
    code = read_reply(reply.text).code
    assert code is not None
    compile(code, "<step>", "exec")
    assert "mill" in code
    assert reply.model == "gpt-5"


async def test_the_same_request_gets_the_same_reply() -> None:
    first, second = [await FakeProvider().complete(root_request("When does it end?")) for _ in range(2)]
    assert (first.text, first.usage) == (second.text, second.usage)


async def test_tokens_are_a_quarter_of_the_characters() -> None:
    request = ModelRequest("any", (Message("user", "x" * 4_000),))
    reply = await FakeProvider().complete(request)
    assert reply.usage is not None
    assert reply.usage.input_tokens == 1_000
    assert reply.usage.output_tokens == -(-len(reply.text) // 4)


async def test_a_conversation_that_is_no_root_prompt_is_answered_as_a_sub_call() -> None:
    request = ModelRequest(
        "any", (Message("system", "Be brief."), Message("user", "Who sold it?\nAnna sold it."))
    )
    reply = await FakeProvider().complete(request)
    assert reply.text == "Anna sold it."
