"""The engine that the settings ask for, while it is used, and where copies of files may be made for it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from rlm_rs.client.asking import AsyncClient
from rlm_rs.core.errors import SettingInvalid
from rlm_rs.core.ports import ModelProvider
from rlm_rs.library import LOCAL_TENANT
from rlm_rs.mcp.embedded import EmbeddedEngine
from rlm_rs.mcp.engine import Engine
from rlm_rs.mcp.remote import RemoteEngine
from rlm_rs.settings import Settings
from rlm_rs.wiring import wire

DRAIN_SECONDS = 1.0
"""A client that has gone waits two seconds before it kills: what is under way is given back at once."""


def engine_of(settings: Settings) -> AbstractAsyncContextManager[tuple[Engine, Path]]:
    """That of a server where RLM_BASE_URL names one, else one of this process."""
    return remote_engine(settings) if settings.rlm_base_url else embedded_engine(settings)


@asynccontextmanager
async def remote_engine(settings: Settings) -> AsyncIterator[tuple[Engine, Path]]:
    """The engine of a server. Raises `SettingInvalid` without a key for it."""
    if settings.rlm_api_key is None:
        raise SettingInvalid(variable="RLM_API_KEY", value="", reason="RLM_BASE_URL needs a key beside it.")
    client = AsyncClient(settings.rlm_base_url, settings.rlm_api_key.get_secret_value())
    spool = await asyncio.to_thread(tempfile.mkdtemp, prefix="rlm-mcp-")
    try:
        yield RemoteEngine(client), Path(spool)
    finally:
        await client.aclose()
        await asyncio.to_thread(shutil.rmtree, spool, ignore_errors=True)


@asynccontextmanager
async def embedded_engine(
    settings: Settings, provider: ModelProvider | None = None
) -> AsyncIterator[tuple[Engine, Path]]:
    """An engine of this process, with its workers."""
    drain = min(DRAIN_SECONDS, settings.worker_drain_seconds)
    wiring = wire(settings.model_copy(update={"worker_drain_seconds": drain}), provider=provider)
    service, stop = wiring.service(), asyncio.Event()
    workers = [asyncio.ensure_future(worker.run(stop)) for worker in wiring.workers(service)]
    try:
        yield EmbeddedEngine(service, wiring.limiter, LOCAL_TENANT), wiring.spool
    finally:
        stop.set()
        await asyncio.gather(*workers, return_exceptions=True)
        await wiring.close()
