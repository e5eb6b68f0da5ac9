"""OpenAI, Azure OpenAI, and every server that speaks OpenAI's wire format, through the official SDK.

The SDK's own retries are off: they repeat calls after a timeout without saying so, each possibly billed.
Replies are asked for whole, not streamed: one time limit bounds the attempt whatever the connection does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx2
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncAzureOpenAI, AsyncOpenAI

from rlm_rs.core.errors import SettingInvalid
from rlm_rs.core.model import ModelReply, ModelRequest
from rlm_rs.providers import openai_failures as failures
from rlm_rs.providers.openai_params import (
    Dialect,
    chat_params,
    dialect_of,
    is_lasting,
    responses_params,
    without_refused,
)
from rlm_rs.providers.openai_replies import read_chat, read_responses
from rlm_rs.providers.retrying import Failure, RetryPolicy, with_retries
from rlm_rs.providers.wire_text import sendable

DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_AZURE_API_VERSION = "2024-10-21"
# servers that need no key still get an Authorization header: the SDK insists on one
NO_KEY = "none"
MAX_REPLY_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class OpenAIConfig:
    """How to reach a provider.

    With azure_endpoint set it is Azure OpenAI, where model names are deployment names; otherwise base_url
    (None: OpenAI's own). timeout_seconds bounds one attempt; max_retries counts all attempts, the first
    included, as OPENAI_MAX_RETRIES does. use_responses asks the Responses API instead of chat completions.
    reasoning_effort is by model name. min_output_tokens is the least output limit sent to a reasoning
    model, whose thoughts count against it. Raises `SettingInvalid` for values that cannot work.
    """

    api_key: str = field(default="", repr=False)
    base_url: str | None = None
    azure_endpoint: str | None = None
    azure_api_version: str = DEFAULT_AZURE_API_VERSION
    timeout_seconds: float = 120.0
    max_retries: int = 3
    use_responses: bool = False
    retry_base_seconds: float = 0.5
    retry_cap_seconds: float = 8.0
    total_seconds: float = 600.0
    reasoning_effort: Mapping[str, str] = field(default_factory=dict)
    min_output_tokens: int = 2048
    max_reply_bytes: int = MAX_REPLY_BYTES
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra_body: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.api_key.isascii() or not self.api_key.isprintable() or " " in self.api_key:
            raise SettingInvalid(
                variable=self.key_setting, value="…", reason="a key has no spaces or odd characters."
            )
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            reason = "it must be a URL such as https://host/v1."
            raise SettingInvalid(variable=self.url_setting, value=self.url, reason=reason)

    @property
    def url(self) -> str:
        """Where requests go."""
        return self.azure_endpoint or self.base_url or DEFAULT_BASE_URL

    @property
    def key_setting(self) -> str:
        """The setting that holds the key."""
        return "AZURE_OPENAI_API_KEY" if self.azure_endpoint else "OPENAI_API_KEY"

    @property
    def url_setting(self) -> str:
        """The setting that holds the URL."""
        return "AZURE_OPENAI_ENDPOINT" if self.azure_endpoint else "OPENAI_BASE_URL"

    @property
    def retry_policy(self) -> RetryPolicy:
        """How often and how long to ask."""
        attempts = max(1, self.max_retries)
        return RetryPolicy(attempts, self.retry_base_seconds, self.retry_cap_seconds, self.total_seconds)


class OpenAIProvider:
    """A model provider on the `openai` SDK. One instance belongs to one event loop."""

    def __init__(self, config: OpenAIConfig) -> None:
        self.name = "azure_openai" if config.azure_endpoint else "openai"
        self._config = config
        self._client = make_client(config)
        self._dialects: dict[str, Dialect] = {}

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask once and return the whole reply; seconds includes retries.

        Raises `ProviderFailed` with details kind, status, attempts and retryable, where it can be told
        request_id, and for a reply that was paid for without a text its token counts.
        """
        started = time.monotonic()
        reply = await with_retries(partial(self._attempt, request), self._config.retry_policy)
        return replace(reply, seconds=time.monotonic() - started)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _attempt(self, request: ModelRequest, seconds_left: float) -> ModelReply | Failure:
        """One attempt; a refused parameter is left out and the request repeated within it."""
        seconds = max(0.001, min(request.timeout or self._config.timeout_seconds, seconds_left))
        dialect = self._dialects.get(request.model) or dialect_of(
            request.model, self._config.min_output_tokens
        )
        while True:
            params = self._params(request, dialect)
            outcome = await self._ask(params, seconds, self._names(request.model))
            if not isinstance(outcome, APIStatusError):
                return outcome
            error = failures.read_error(outcome.body)
            fixed = without_refused(dialect, params, error) if outcome.status_code in (400, 422) else None
            if fixed is None:
                return failures.of_status(outcome, self._names(request.model))
            dialect = fixed
            if is_lasting(error):
                self._dialects[request.model] = fixed

    async def _ask(
        self, params: dict[str, Any], seconds: float, names: failures.Names
    ) -> ModelReply | Failure | APIStatusError:
        try:
            async with asyncio.timeout(seconds):
                body = await self._send(params, seconds)
        except (APITimeoutError, TimeoutError, httpx2.TimeoutException):
            return failures.of_timeout(seconds, names)
        except (APIConnectionError, httpx2.TransportError) as error:
            # the SDK's own for a connection that was not made, its transport's for a body that broke off
            return failures.of_connection(error, names)
        except APIStatusError as error:
            return error
        if body is None:
            return failures.of_malformed(f"longer than {self._config.max_reply_bytes:,} bytes", names)
        try:
            return (read_responses if self._config.use_responses else read_chat)(body, names)
        except RecursionError:
            return failures.of_malformed("nested without end", names)

    async def _send(self, params: dict[str, Any], seconds: float) -> bytes | None:
        """The body of the reply, None if it is longer than any reply is."""
        create: Any = self._client.chat.completions.with_streaming_response.create
        if self._config.use_responses:
            create = self._client.responses.with_streaming_response.create
        sending = create(
            **params,
            timeout=seconds,
            extra_body=self._config.extra_body,
            extra_headers=self._config.extra_headers,
        )
        body = bytearray()
        async with sending as answer:
            async for piece in answer.iter_bytes():
                body += piece
                if len(body) > self._config.max_reply_bytes:
                    return None
        return bytes(body)

    def _params(self, request: ModelRequest, dialect: Dialect) -> dict[str, Any]:
        build = responses_params if self._config.use_responses else chat_params
        params = build(request, dialect, self._config.reasoning_effort.get(request.model))
        return {name: sendable(value) for name, value in params.items()}

    def _names(self, model: str) -> failures.Names:
        return names_of(self._config, model)


def names_of(config: OpenAIConfig, model: str) -> failures.Names:
    """What the user calls things, for messages."""
    return failures.Names(
        url=_shown(config.url),
        model=model,
        key_setting=config.key_setting,
        url_setting=config.url_setting,
        secrets=(config.api_key,),
    )


def make_client(config: OpenAIConfig) -> AsyncOpenAI:
    """The SDK's client, its own retries off."""
    key = config.api_key or NO_KEY
    if config.azure_endpoint:
        return AsyncAzureOpenAI(
            azure_endpoint=config.azure_endpoint,
            api_version=config.azure_api_version,
            api_key=key,
            max_retries=0,
            timeout=config.timeout_seconds,
        )
    return AsyncOpenAI(base_url=config.url, api_key=key, max_retries=0, timeout=config.timeout_seconds)


def _shown(url: str) -> str:
    """The URL without user, password and query, which may be secrets."""
    parts = urlsplit(url)
    host = parts.netloc.rsplit("@", 1)[-1]
    return f"{parts.scheme}://{host}{parts.path}"
