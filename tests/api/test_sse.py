"""Streams are kept alive, end, and close what they read from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from rlm_rs.api.sse import HEARTBEAT, frame, kept_alive


class Source:
    """Frames with pauses between them; knows whether it was closed."""

    def __init__(self, *pauses: float) -> None:
        self.pauses, self.closed = pauses, False

    async def frames(self) -> AsyncGenerator[bytes]:
        try:
            for number, pause in enumerate(self.pauses):
                await asyncio.sleep(pause)
                yield frame({"n": number}, "Thing", number)
        finally:
            self.closed = True


def test_a_frame_is_numbered_named_json() -> None:
    assert frame({"a": "x\ny"}, "Started", 3) == b'id: 3\nevent: Started\ndata: {"a":"x\\ny"}\n\n'


async def test_frames_come_through_with_heartbeats_where_none_came() -> None:
    source = Source(0, 0.12, 0)
    got = [piece async for piece in kept_alive(source.frames(), heartbeat_seconds=0.05)]
    assert [piece for piece in got if piece != HEARTBEAT] == [frame({"n": n}, "Thing", n) for n in range(3)]
    assert HEARTBEAT in got
    assert source.closed


async def test_a_stream_ends_when_its_life_is_over() -> None:
    source = Source(0, 30)
    async with asyncio.timeout(5):
        got = [piece async for piece in kept_alive(source.frames(), 10, max_life_seconds=0.1)]
    assert [piece for piece in got if piece != HEARTBEAT] == [frame({"n": 0}, "Thing", 0)]
    assert source.closed


async def test_a_reader_that_leaves_closes_the_source() -> None:
    source = Source(0, 30)
    stream = kept_alive(source.frames())
    await anext(stream)
    await stream.aclose()
    assert source.closed
