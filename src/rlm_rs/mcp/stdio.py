"""The server over standard input and output, with an engine of its own or with that of a URL."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from rlm_rs.client.asking import AsyncClient
from rlm_rs.core.errors import SettingInvalid, ValidationFailed
from rlm_rs.library import LOCAL_TENANT
from rlm_rs.mcp.embedded import EmbeddedEngine
from rlm_rs.mcp.engine import Engine
from rlm_rs.mcp.host import Files, Host
from rlm_rs.mcp.remote import RemoteEngine
from rlm_rs.mcp.roots import Roots
from rlm_rs.mcp.server import build
from rlm_rs.settings import Settings
from rlm_rs.wiring import wire

INTERRUPTED = 130
DRAIN_SECONDS = 1.0
"""A client that has gone waits two seconds before it kills: what is under way is given back at once."""


def run(settings: Settings, folders: Sequence[str]) -> int:
    """Serve until the client goes or a signal comes; the exit code. folders: whose files may be named.

    Raises `ValidationFailed` for a folder that is none, and `SettingInvalid`.
    """
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    code = asyncio.run(_served(settings, _checked(folders)))
    if code:
        # a thread may still wait for standard input, and nothing of it is wanted
        sys.stderr.flush()
        os._exit(code)
    return code


def _checked(folders: Sequence[str]) -> tuple[Path, ...]:
    for folder in folders:
        if not Path(folder).expanduser().is_dir():
            raise ValidationFailed(reason=f"--root {folder} is not a folder.")
    return Roots.of(Path(folder).expanduser() for folder in folders).folders


async def _served(settings: Settings, folders: tuple[Path, ...]) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with _engine(settings) as (engine, spool):
        host = Host(lambda request, scope: engine, Files(folders, spool))
        serving = asyncio.ensure_future(build(host).run_stdio_async())
        waiting = asyncio.ensure_future(stopped.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not serving.done():
            # its reading of standard input cannot be interrupted
            await host.close()
            return INTERRUPTED
        await serving
    return 0


def _engine(settings: Settings) -> AbstractAsyncContextManager[tuple[Engine, Path]]:
    return _remote(settings) if settings.rlm_base_url else _embedded(settings)


@asynccontextmanager
async def _remote(settings: Settings) -> AsyncIterator[tuple[Engine, Path]]:
    if settings.rlm_api_key is None:
        raise SettingInvalid(variable="RLM_API_KEY", value="", reason="RLM_BASE_URL needs a key beside it.")
    client = AsyncClient(settings.rlm_base_url, settings.rlm_api_key.get_secret_value())
    spool = await asyncio.to_thread(tempfile.mkdtemp, prefix="rlm-mcp-")
    try:
        yield RemoteEngine(client), Path(spool)
    finally:
        await client.aclose()
        shutil.rmtree(spool, ignore_errors=True)


@asynccontextmanager
async def _embedded(settings: Settings) -> AsyncIterator[tuple[Engine, Path]]:
    drain = min(DRAIN_SECONDS, settings.worker_drain_seconds)
    wiring = wire(settings.model_copy(update={"worker_drain_seconds": drain}))
    service, stop = wiring.service(), asyncio.Event()
    workers = [asyncio.ensure_future(worker.run(stop)) for worker in wiring.workers(service)]
    try:
        yield EmbeddedEngine(service, wiring.limiter, LOCAL_TENANT), wiring.spool
    finally:
        stop.set()
        await asyncio.gather(*workers, return_exceptions=True)
        await wiring.close()
