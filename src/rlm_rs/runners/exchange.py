"""The host's side of the frames of `sandbox.frames`: never blocks the event loop, trusts no length."""

from __future__ import annotations

import asyncio
import socket

import orjson

from rlm_rs.sandbox.frames import FAILED, HEADER, HELLO, MAX_FRAME_BYTES, REPLY
from rlm_rs.sandbox.protocol import StepRequest, to_json

READ_BYTES = 1 << 18
MAX_FAILURE_BYTES = 1 << 14


class ReplyEnded(Exception):
    """The child ended before it had replied."""


class StepProgramFailed(Exception):
    """The step program says that it failed, and how."""


class ReplyMalformed(Exception):
    """The child sent something that is no reply frame. The message says what."""


def encoded(step: StepRequest) -> bytes:
    """A step as its child reads it."""
    try:
        return orjson.dumps(step)
    except TypeError:
        return to_json(step)  # it holds lone surrogates


async def send_step(child: socket.socket, kind: bytes, body: bytes, descriptors: list[int]) -> None:
    """Send a first frame, the descriptors with its header. Raises `ReplyEnded` if the child is gone."""
    try:
        socket.send_fds(child, [HEADER.pack(kind, len(body))], descriptors)
        await asyncio.get_running_loop().sock_sendall(child, body)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise ReplyEnded from error


async def send_frame(child: socket.socket, kind: bytes, body: bytes) -> None:
    """Send a later frame. Raises `ReplyEnded` if the child is gone."""
    try:
        await asyncio.get_running_loop().sock_sendall(child, HEADER.pack(kind, len(body)) + body)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise ReplyEnded from error


async def _read_exactly(child: socket.socket, count: int) -> bytearray:
    loop = asyncio.get_running_loop()
    pieces = bytearray()
    while len(pieces) < count:
        try:
            piece = await loop.sock_recv(child, min(count - len(pieces), READ_BYTES))
        except ConnectionResetError as error:
            raise ReplyEnded from error
        if not piece:
            raise ReplyEnded
        pieces += piece
    return pieces


async def read_hello(child: socket.socket) -> None:
    """Wait until the child is locked and ready. Raises `ReplyEnded` or `StepProgramFailed` if it is not."""
    await _read_frame(child, {HELLO: 0})


async def read_reply(child: socket.socket) -> bytearray:
    """The body of the child's next frame. Raises `ReplyEnded`, `ReplyMalformed` or `StepProgramFailed`."""
    return await _read_frame(child, {REPLY: MAX_FRAME_BYTES})


async def _read_frame(child: socket.socket, expected: dict[bytes, int]) -> bytearray:
    """A frame of one of these kinds, no longer than the kind may be."""
    limits = {**expected, FAILED: MAX_FAILURE_BYTES}
    kind, length = HEADER.unpack(await _read_exactly(child, HEADER.size))
    if kind not in limits:
        raise ReplyMalformed("it is not a reply frame")
    if length > limits[kind]:
        raise ReplyMalformed(f"it would be {length} bytes, more than the {limits[kind]} allowed")
    body = await _read_exactly(child, length)
    if kind == FAILED:
        raise StepProgramFailed(body.decode("utf-8", "replace"))
    return body
