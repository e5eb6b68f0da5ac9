"""Server-Sent Events (WHATWG HTML, section 9.2): numbered, kept alive, and not for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import orjson

HEARTBEAT_SECONDS = 15.0
MAX_LIFE_SECONDS = 3600.0
HEARTBEAT = b": heartbeat\n\n"
_CLOSING: set[asyncio.Future[None]] = set()
"""Sources that are closing: the event loop itself keeps no task alive."""

STREAM = "text/event-stream"
_TEXT = {"type": "string"}
STREAMED: dict[str, Any] = {
    STREAM: {
        "schema": {
            "type": "object",
            "title": "Event",
            "description": "one event of the stream; data is JSON",
            "required": ["data"],
            "properties": {"id": _TEXT, "event": _TEXT, "data": _TEXT},
        }
    }
}
"""How a stream stands in the API's description."""

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def frame(data: object, event: str | None = None, number: int | None = None) -> bytes:
    """One event. Its data is JSON, which holds no line breaks."""
    lines = [f"id: {number}\n".encode()] if number is not None else []
    if event is not None:
        lines.append(f"event: {event}\n".encode())
    return b"".join((*lines, b"data: ", orjson.dumps(data), b"\n\n"))


async def kept_alive(
    frames: AsyncGenerator[bytes],
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
    max_life_seconds: float = MAX_LIFE_SECONDS,
) -> AsyncGenerator[bytes]:
    """The frames, with a comment whenever none came for a while; ends with them, or when its life is over.

    A client that comes back with Last-Event-ID goes on where the stream was cut.
    """
    ends = time.monotonic() + max_life_seconds
    coming = asyncio.ensure_future(_next(frames))
    try:
        while (left := ends - time.monotonic()) > 0:
            done, _ = await asyncio.wait((coming,), timeout=min(heartbeat_seconds, left))
            if not done:
                yield HEARTBEAT
            elif (found := coming.result()) is None:
                return
            else:
                yield found
                coming = asyncio.ensure_future(_next(frames))
    finally:
        # a client that leaves cancels whoever waits here, again and again: the source closes in its own time
        closing = asyncio.ensure_future(_closed(coming, frames))
        _CLOSING.add(closing)
        closing.add_done_callback(_CLOSING.discard)
        await asyncio.shield(closing)


async def _closed(coming: asyncio.Future[bytes | None], frames: AsyncGenerator[bytes]) -> None:
    coming.cancel()
    await asyncio.gather(coming, return_exceptions=True)
    await frames.aclose()


async def _next(frames: AsyncGenerator[bytes]) -> bytes | None:
    return await anext(frames, None)
