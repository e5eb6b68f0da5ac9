"""Bodies of uploads: read from disk as they are sent, and told of as they go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from os import PathLike, fspath
from pathlib import Path

from rlm_rs.client.transport import Body
from rlm_rs.core.errors import SourceNotFound

Content = bytes | str | PathLike[str]
"""Bytes, or the path of a file."""

Sent = Callable[[int, int], None]
"""Told how many bytes were sent so far, and of how many."""

PIECE_BYTES = 1 << 18


async def length_of(content: Content) -> int:
    """Bytes of it. Raises `SourceNotFound`."""
    if isinstance(content, bytes):
        return len(content)
    try:
        return (await asyncio.to_thread(Path(fspath(content)).stat)).st_size
    except OSError as error:
        raise SourceNotFound(path=fspath(content)) from error


def body_of(content: Content, length: int, sent: Sent | None) -> Body:
    """What sends it, from its start each time it is called."""

    async def body() -> AsyncIterator[bytes]:
        done = 0
        async for piece in _pieces(content, length):
            yield piece
            done += len(piece)
            if sent:
                sent(done, length)

    return body


async def _pieces(content: Content, length: int) -> AsyncIterator[bytes]:
    if isinstance(content, bytes):
        for start in range(0, length, PIECE_BYTES):
            yield content[start : start + PIECE_BYTES]
        return
    # a file that grows meanwhile is sent as long as it was
    left = length
    with await asyncio.to_thread(open, fspath(content), "rb") as file:
        while left and (piece := await asyncio.to_thread(file.read, min(PIECE_BYTES, left))):
            left -= len(piece)
            yield piece
