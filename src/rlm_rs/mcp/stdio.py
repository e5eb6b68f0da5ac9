"""The server over standard input and output, with an engine of its own or with that of a URL."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rlm_rs.core.errors import ValidationFailed
from rlm_rs.mcp.engines import engine_of
from rlm_rs.mcp.host import Files, Host
from rlm_rs.mcp.roots import Roots
from rlm_rs.mcp.server import build
from rlm_rs.settings import Settings

INTERRUPTED = 130


def run(settings: Settings, folders: Sequence[str]) -> int:
    """Serve until the client goes or a signal comes; the exit code. folders: whose files may be named.

    Raises `ValidationFailed` for a folder that is none, and `SettingInvalid`.
    """
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    if sys.stdin.isatty():
        print("Waiting for a client on standard input. `rlm mcp install` adds this to one.", file=sys.stderr)
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
    async with engine_of(settings) as (engine, spool):
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
