"""Embeddings of OpenAI, Azure OpenAI and compatible servers, through the official SDK."""

from __future__ import annotations

import asyncio
import math
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
        except ValueError:
            return failures.of_malformed("not JSON", names)
        return _vectors(answer, len(texts)) or failures.of_malformed(
            f"not {len(texts)} embeddings of one length", names
        )


def _vectors(answer: object, count: int) -> Vectors | None:
    """The embeddings by their numbers; None if the server sent anything else, which the SDK lets through."""
    items = getattr(answer, "data", None)
    if not isinstance(items, list):
        return None
    found = {getattr(item, "index", None): getattr(item, "embedding", None) for item in items}
    vectors = [vector for number in range(count) if isinstance(vector := found.get(number), list)]
    lengths = {len(vector) for vector in vectors}
    if len(vectors) != count or len(lengths) != 1 or 0 in lengths:
        return None
    return vectors if all(map(_is_finite, vectors)) else None


def _is_finite(vector: Sequence[object]) -> bool:
    return all(isinstance(x, int | float) and math.isfinite(x) for x in vector)
