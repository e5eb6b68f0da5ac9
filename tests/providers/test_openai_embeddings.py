"""Embeddings from servers that answer 200 with something else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rlm_rs.core.errors import ProviderFailed
from rlm_rs.providers.openai import OpenAIConfig
from rlm_rs.providers.openai_embeddings import OpenAIEmbedder


@asynccontextmanager
async def answering(body: str) -> AsyncIterator[OpenAIEmbedder]:
    """An embedder whose server answers everything with this."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        data = body.encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + data)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    config = OpenAIConfig(
        api_key="sk-test", base_url=f"http://127.0.0.1:{port}/v1", max_retries=2, retry_base_seconds=0.001
    )
    embedder = OpenAIEmbedder(config, "embed")
    try:
        yield embedder
    finally:
        await embedder.close()
        server.close()
        await server.wait_closed()


def data(*vectors: Any) -> str:
    return json.dumps({"data": [{"index": n, "embedding": vector} for n, vector in enumerate(vectors)]})


async def test_vectors_come_in_the_order_of_the_texts() -> None:
    async with answering(data([1.0, 0.5], [2, 3])) as embedder:
        assert await embedder.embed(["a", "b"]) == [[1.0, 0.5], [2, 3]]


@pytest.mark.parametrize(
    "body",
    [
        "<html>Sign in</html>",
        '{"data": [{"ind',
        '{"error": {"message": "no"}}',
        '{"data": null}',
        '{"data": [{}, {}]}',
        '{"data": ["x", 1]}',
        data([1.0]),
        data([1.0], [1.0, 2.0]),
        data([], []),
        data([None, 1], [1, 1]),
        data(["1"], ["2"]),
    ],
)
async def test_anything_else_is_a_failure_of_the_provider(body: str) -> None:
    async with answering(body) as embedder:
        with pytest.raises(ProviderFailed, match=r"embeddings|JSON"):
            await embedder.embed(["a", "b"])
