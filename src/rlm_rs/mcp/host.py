"""What the tools are given: whose engine a request may use, and which local files."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mcp.server.mcpserver import Context

from rlm_rs.mcp.engine import Engine
from rlm_rs.mcp.roots import Roots, folders_of

Scope = Literal["read", "write"]

Opened = tuple[str, list[str]]
"""The id of a session, and the files that are not in it, each with why."""


@dataclass(frozen=True, slots=True)
class Files:
    """The local files a client may name: below these folders and those it says it works in.

    spool: where copies are made.
    """

    folders: tuple[Path, ...]
    spool: Path

    def roots(self, client_roots: list[str]) -> Roots:
        """A fence for one session."""
        return Roots.of([*self.folders, *folders_of(client_roots)])


@dataclass(slots=True)
class Host:
    """One per server. engines: the engine for a call (its HTTP request, None over stdio) that needs a scope.

    files: None where no local file may be named. told: hears of each call that changes something, with the
    HTTP request, the tool, and whether it went well.
    """

    engines: Callable[[Any, Scope], Engine]
    files: Files | None = None
    told: Callable[[Any, str, bool], Awaitable[None]] | None = None
    _openings: dict[object, _Opening] = field(default_factory=dict, init=False)

    async def opening(self, key: object, begin: Callable[[], Coroutine[Any, Any, Opened]]) -> Opened:
        """What `begin` gives. Asked again for the same key meanwhile, it is not begun again.

        It goes on when a caller's time is over, and is given up when its last caller is cancelled.
        """
        under_way = self._openings.get(key)
        if under_way is None:
            under_way = self._openings[key] = _Opening(asyncio.ensure_future(begin()))
            under_way.task.add_done_callback(lambda task: self._opened(key, task))
        return await under_way.joined()

    def _opened(self, key: object, task: asyncio.Task[Opened]) -> None:
        self._openings.pop(key, None)
        if not task.cancelled():
            # one that fails when nobody waits any more fails again for who asks next
            task.exception()

    def give_up(self, key: object) -> None:
        """Nobody wants it any more, unless somebody else still waits for it."""
        under_way = self._openings.get(key)
        if under_way is not None and not under_way.waiting:
            under_way.task.cancel()

    async def close(self) -> None:
        """End what is under way."""
        left = [opening.task for opening in self._openings.values()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


@dataclass(slots=True)
class _Opening:
    task: asyncio.Task[Opened]
    waiting: int = 0

    async def joined(self) -> Opened:
        self.waiting += 1
        try:
            return await asyncio.shield(self.task)
        finally:
            self.waiting -= 1


def host_of(ctx: Context) -> Host:
    """The host of the server that a call came to."""
    host: Any = ctx.request_context.lifespan_context
    if not isinstance(host, Host):
        raise TypeError("the server was not built by rlm_rs.mcp.server")
    return host


def reading(ctx: Context) -> Engine:
    """The caller's engine, to look at things."""
    return host_of(ctx).engines(ctx.request_context.request, "read")


def writing(ctx: Context) -> Engine:
    """The caller's engine, to make, change and remove things."""
    return host_of(ctx).engines(ctx.request_context.request, "write")
