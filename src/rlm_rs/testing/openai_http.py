"""The little of HTTP/1.1 (RFC 9112) that a test server needs: keep-alive, bodies, chunked answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from rlm_rs.testing.openai_faults import Ending

MAX_HEAD_BYTES = 1 << 16
MAX_BODY_BYTES = 1 << 28
TRICKLE_SECONDS = 0.05


class BadRequest(Exception):
    """The client sent something that is not HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request with its body read. Header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What to send and how the exchange ends. More than one chunk means a streamed answer."""

    status: int
    chunks: tuple[bytes, ...]
    headers: Mapping[str, str]
    content_type: str = "application/json"
    streamed: bool = False
    latency: float = 0.0
    ending: Ending = "sent"


class Wire(asyncio.StreamReaderProtocol):
    """A connection that knows at once when its client is gone, also while an answer is being prepared."""

    def __init__(self, connected: Callable[[Wire, asyncio.StreamReader, asyncio.StreamWriter], None]) -> None:
        self.gone = asyncio.Event()
        super().__init__(
            asyncio.StreamReader(limit=MAX_HEAD_BYTES), lambda reader, writer: connected(self, reader, writer)
        )

    def eof_received(self) -> bool | None:
        self.gone.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        super().connection_lost(exc)

    async def wait(self, seconds: float | None) -> None:
        """Wait that long (None: for ever). Raises ConnectionResetError if the client goes first."""
        try:
            async with asyncio.timeout(seconds):
                await self.gone.wait()
        except TimeoutError:
            return
        raise ConnectionResetError("the client is gone")


async def read_request(reader: asyncio.StreamReader) -> HttpRequest | None:
    """The next request on a connection, or None when the client has closed it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise BadRequest("the header is too large") from None
    start, _, rest = head.decode("latin-1").partition("\r\n")
    try:
        method, target, _version = start.split(" ")
    except ValueError:
        raise BadRequest(f"not a request line: {start[:80]!r}") from None
    headers = _headers(rest)
    url = urlsplit(target)
    return HttpRequest(method, url.path, parse_qs(url.query), headers, await _body(reader, headers))


def _headers(text: str) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in text.split("\r\n") if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _chunked_body(reader)
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_BODY_BYTES:
        raise BadRequest(f"content-length {length[:20]!r}")
    return await reader.readexactly(int(length))


async def _chunked_body(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    await reader.readuntil(b"\r\n")
    return b"".join(parts)


async def send(wire: Wire, writer: asyncio.StreamWriter, answer: HttpAnswer) -> None:
    """Play an answer to its end. Raises ConnectionError when the connection is over after it."""
    if answer.ending == "hung":
        await wire.wait(None)
    if answer.latency:
        await wire.wait(answer.latency)
    if answer.ending == "closed":
        raise ConnectionAbortedError("closed by the script")
    pieces = [_head(answer), *_framed(answer)]
    if answer.ending == "trickled":
        await _trickle(wire, writer, b"".join(pieces))
    elif answer.ending == "dropped":
        await _half(writer, b"".join(pieces))
    else:
        writer.writelines(pieces)
        await writer.drain()


def _head(answer: HttpAnswer) -> bytes:
    phrase = HTTPStatus(answer.status).phrase if answer.status in _STATUSES else "Unknown"
    length = sum(map(len, answer.chunks))
    framing = ("Transfer-Encoding", "chunked") if answer.streamed else ("Content-Length", str(length))
    headers = {"Content-Type": answer.content_type, framing[0]: framing[1], **answer.headers}
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _framed(answer: HttpAnswer) -> list[bytes]:
    if not answer.streamed:
        return list(answer.chunks)
    return [*(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in answer.chunks), b"0\r\n\r\n"]


async def _half(writer: asyncio.StreamWriter, data: bytes) -> None:
    head = data.index(b"\r\n\r\n") + 4
    writer.write(data[: (head + len(data)) // 2])
    await writer.drain()
    raise ConnectionAbortedError("dropped by the script")


async def _trickle(wire: Wire, writer: asyncio.StreamWriter, data: bytes) -> None:
    for index in range(len(data)):
        writer.write(data[index : index + 1])
        await writer.drain()
        await wire.wait(TRICKLE_SECONDS)


_STATUSES = frozenset(HTTPStatus)
