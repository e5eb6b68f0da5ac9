"""Progress notifications: one for whatever happens, and one now and then while nothing does.

Clients end calls they hear nothing of; some count from the last notification on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from mcp.server.mcpserver import Context

BEAT_SECONDS = 10.0
LEAST = 0.001


class Progress:
    """The progress of one call, in seconds since it began: the only measure that always grows."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._began = anyio.current_time()
        self._last = 0.0
        self._words = "at work"

    async def tell(self, words: str) -> None:
        """Say what has just happened. Does nothing for a client that did not ask for progress."""
        self._words = words
        await self._send(words)

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Meanwhile, say what happened last again from time to time."""
        # not a task group: it would wrap whatever is raised meanwhile
        beat = asyncio.ensure_future(self._beat())
        try:
            yield
        finally:
            beat.cancel()

    async def _beat(self) -> None:
        while True:
            await anyio.sleep(BEAT_SECONDS)
            await self._send(f"{self._words} ({self.seconds:.0f} s)")

    @property
    def seconds(self) -> float:
        """Since the call began."""
        return anyio.current_time() - self._began

    async def _send(self, words: str) -> None:
        self._last = max(round(self.seconds, 3), self._last + LEAST)
        await self._ctx.report_progress(self._last, message=words)
