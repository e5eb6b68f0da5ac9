"""What every model provider must do. Subclass it in a test module and give it a provider.

    class TestMine(ProviderContract):
        model = "my-model"

        @pytest.fixture
        async def provider(self):
            provider = MyProvider()
            yield provider
            await provider.close()

The provider must answer any prompt; what it answers does not matter. Set `failing_model` to a model name
for which it fails, and the failure is checked too. Needs pytest and pytest-asyncio.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest

from rlm_rs.core.errors import ProviderFailed
from rlm_rs.core.model import Message, ModelReply, ModelRequest
from rlm_rs.core.ports import ModelProvider

SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}


@pytest.mark.asyncio
class ProviderContract:
    """The contract of `ModelProvider`."""

    model: ClassVar[str] = ""
    failing_model: ClassVar[str | None] = None

    @pytest.fixture
    def provider(self) -> ModelProvider:
        """The provider under test, open; the fixture closes it afterwards."""
        raise NotImplementedError("a subclass gives the provider")

    def request(self, text: str = "Say something.", **options: Any) -> ModelRequest:
        """A request of one user message."""
        return ModelRequest(options.pop("model", self.model), (Message("user", text),), **options)

    async def test_it_has_a_name(self, provider: ModelProvider) -> None:
        assert isinstance(provider.name, str)
        assert provider.name

    async def test_a_reply_is_complete(self, provider: ModelProvider) -> None:
        reply = await provider.complete(self.request())
        assert isinstance(reply, ModelReply)
        assert isinstance(reply.text, str)
        assert isinstance(reply.reasoning, str)
        assert reply.model
        assert reply.finish_reason
        assert reply.seconds >= 0

    async def test_usage_is_whole_and_consistent(self, provider: ModelProvider) -> None:
        usage = (await provider.complete(self.request("word " * 400))).usage
        if usage is None:
            pytest.skip("this provider reports no usage")
        counts = (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.reasoning_tokens)
        assert all(type(count) is int and count >= 0 for count in counts)
        assert usage.input_tokens > 0
        assert usage.cached_input_tokens <= usage.input_tokens
        assert usage.reasoning_tokens <= usage.output_tokens

    async def test_a_conversation_of_all_roles_is_answered(self, provider: ModelProvider) -> None:
        messages = (
            Message("system", "You are brief."),
            Message("user", "One."),
            Message("assistant", "Two."),
            Message("user", "Three."),
        )
        assert (await provider.complete(ModelRequest(self.model, messages))).finish_reason

    async def test_every_option_is_accepted(self, provider: ModelProvider) -> None:
        request = self.request(max_tokens=4096, temperature=0.0, schema=SCHEMA, timeout=30.0)
        assert (await provider.complete(request)).model

    async def test_many_calls_at_once_each_get_a_reply(self, provider: ModelProvider) -> None:
        replies = await asyncio.gather(*(provider.complete(self.request(f"Number {n}")) for n in range(16)))
        assert len(replies) == 16

    async def test_a_cancelled_call_leaves_the_provider_usable(self, provider: ModelProvider) -> None:
        task = asyncio.create_task(provider.complete(self.request("Never mind.")))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.done()
        assert (await provider.complete(self.request())).model

    async def test_a_prompt_of_a_million_characters_is_taken(self, provider: ModelProvider) -> None:
        assert (await provider.complete(self.request("long text " * 100_000))).model

    async def test_any_text_can_be_sent(self, provider: ModelProvider) -> None:
        odd = "\x00 \u202e \U0001f9ea e\u0301 \ud800 \udfff \r\n"
        assert (await provider.complete(self.request(odd))).model

    async def test_what_cannot_be_answered_is_a_provider_failure(self, provider: ModelProvider) -> None:
        if self.failing_model is None:
            pytest.skip("no failing model is named")
        with pytest.raises(ProviderFailed) as caught:
            await provider.complete(self.request(model=self.failing_model))
        assert "\n" not in caught.value.message
        assert {"kind", "status", "attempts", "retryable"} <= caught.value.details.keys()
