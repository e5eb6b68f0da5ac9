"""The shipped provider contract, run against the scripted model and against OpenAI's adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import ClassVar

import pytest

from rlm_rs.core.model import ModelRequest
from rlm_rs.providers.openai import OpenAIConfig, OpenAIProvider
from rlm_rs.testing.models import ScriptedModel
from rlm_rs.testing.openai_script import HouseRules, Prompt
from rlm_rs.testing.openai_server import OpenAITestServer
from rlm_rs.testing.provider_contract import ProviderContract


def count_words(request: ModelRequest) -> str:
    return f"{len(request.messages[-1].content.split())} words"


def count_words_served(prompt: Prompt) -> str:
    return f"{len(prompt.last.split())} words"


class TestScriptedModel(ProviderContract):
    model = "scripted-root"
    failing_model = "another-model"

    @pytest.fixture
    def provider(self) -> ScriptedModel:
        return ScriptedModel(count_words)


class OverOpenAI(ProviderContract):
    model = "gpt-5"
    failing_model = "no-such-model"
    responses: ClassVar[bool] = False
    azure: ClassVar[bool] = False

    @pytest.fixture
    async def provider(self) -> AsyncIterator[OpenAIProvider]:
        async with OpenAITestServer(count_words_served, house=HouseRules(models=(self.model,))) as server:
            config = OpenAIConfig(
                api_key="k",
                base_url=server.base_url,
                azure_endpoint=server.origin if self.azure else None,
                use_responses=self.responses,
            )
            provider = OpenAIProvider(config)
            yield provider
            await provider.close()


class TestChatCompletions(OverOpenAI):
    pass


class TestChatCompletionsOfAnOlderModel(OverOpenAI):
    model = "gpt-4o-mini"


class TestResponses(OverOpenAI):
    responses = True


class TestAzureChatCompletions(OverOpenAI):
    azure = True


class TestAzureResponses(OverOpenAI):
    azure = True
    responses = True
