"""Embeddings of OpenAI, Azure OpenAI and compatible servers, through the official SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from openai import APIConnectionError, APIStatusError, APITimeoutError

from rlm_rs.core.wellformed import well_formed
from rlm_rs.providers import openai_failures as failures
from rlm_rs.providers.openai import OpenAIConfig, make_client, names_of
from rlm_rs.providers.retrying import Failure, with_retries

BATCH_TEXTS = 64
BATCHES_AT_ONCE = 4

Vectors = list[list[float]]


class OpenAIEmbedder:
    """`core.ports.Embedder`. One instance belongs to one event loop."""

    def __init__(self, config: OpenAIConfig, model: str) -> None:
        self.name = model
        self._config = config
        self._client = make_client(config)
        self._slots = asyncio.Semaphore(BATCHES_AT_ONCE)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        batches = [texts[at : at + BATCH_TEXTS] for at in range(0, len(texts), BATCH_TEXTS)]
        embedded = await asyncio.gather(*map(self._batch, batches))
        return [vector for vectors in embedded for vector in vectors]

    async def close(self) -> None:
        await self._client.close()

    async def _batch(self, texts: Sequence[str]) -> Vectors:
        async with self._slots:
            return await with_retries(partial(self._attempt, texts), self._config.retry_policy)

    async def _attempt(self, texts: Sequence[str], seconds_left: float) -> Vectors | Failure:
        seconds = max(0.001, min(self._config.timeout_seconds, seconds_left))
        names = names_of(self._config, self.name)
        try:
            async with asyncio.timeout(seconds):
                answer = await self._client.embeddings.create(
                    model=self.name,
                    # an empty text is refused
                    input=[well_formed(text) or " " for text in texts],
                    encoding_format="float",
                    timeout=seconds,
                )
        except (APITimeoutError, TimeoutError):
            return failures.of_timeout(seconds, names)
        except APIConnectionError as error:
            return failures.of_connection(error, names)
        except APIStatusError as error:
            return failures.of_status(error, names)
        vectors = {item.index: item.embedding for item in answer.data}
        if sorted(vectors) != list(range(len(texts))):
            message = f"{names.url} gave {len(vectors)} embeddings for {len(texts)} texts."
            return Failure("malformed", message, retryable=True)
        return [vectors[number] for number in range(len(texts))]
