"""A provider connected to a test server of its own, for as long as the test runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import pytest

from rlm_rs.core.model import Message, ModelRequest
from rlm_rs.providers.openai import OpenAIConfig, OpenAIProvider
from rlm_rs.testing.openai_script import HouseRules
from rlm_rs.testing.openai_server import OpenAITestServer

Served: TypeAlias = tuple[OpenAITestServer, OpenAIProvider]
Serve: TypeAlias = Callable[..., Awaitable[Served]]

KEY = "sk-test-4242424242"


def asking(text: str = "Hello?", *, model: str = "gpt-4o", **options: Any) -> ModelRequest:
    """A request of one user message."""
    return ModelRequest(model, (Message("user", text),), **options)


@pytest.fixture
def ask() -> Callable[..., ModelRequest]:
    return asking


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server with a script and connect a provider to it; retries wait milliseconds."""
    async with AsyncExitStack() as stack:

        async def start(script: Any, *, house: HouseRules | None = None, **config: Any) -> Served:
            server = await stack.enter_async_context(OpenAITestServer(script, house=house))
            azure = server.origin if config.pop("azure", False) else None
            chosen: dict[str, Any] = {"api_key": KEY, "retry_base_seconds": 0.01, **config}
            provider = OpenAIProvider(OpenAIConfig(base_url=server.base_url, azure_endpoint=azure, **chosen))
            stack.push_async_callback(provider.close)
            return server, provider

        yield start
