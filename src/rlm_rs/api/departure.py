"""Work that is of use to nobody once the client has left."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from rlm_rs.telemetry.logs import bind, bound

T = TypeVar("T")


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """What comes of work; it is cancelled when the client leaves, and None then.

    The body of the request must have been read.
    """
    ids: dict[str, Any] = {}
    working, leaving = asyncio.ensure_future(_noted(work, ids)), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)
        # what is told of the request once it is answered is told in this task
        bind(**ids)


async def _noted(work: Coroutine[Any, Any, T], ids: dict[str, Any]) -> T:
    """What comes of work; its ids in the log are noted."""
    try:
        return await work
    finally:
        ids.update(bound())


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
