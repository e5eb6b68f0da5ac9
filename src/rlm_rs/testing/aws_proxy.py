"""A proxy before an AWS emulator that counts requests by operation, and throws some back on request.

Everything that processes send to the emulator passes it, whichever SDK they use, so that a test or benchmark
can say how many requests an execution costs and see what happens when some are refused or replies are lost.

    async with AwsProxy(emulator.endpoint) as proxy:
        account = Account(endpoint=proxy.endpoint)
        ...
    print(proxy.counts)
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

HEADER_LIMIT = 1 << 17
_TARGET = re.compile(rb"^x-amz-target: *\w+\.(\w+)\r$", re.IGNORECASE | re.MULTILINE)
_LENGTH = re.compile(rb"^content-length: *(\d+)\r$", re.IGNORECASE | re.MULTILINE)
_DATE = re.compile(rb"^date: *[^\r]*", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding: *chunked\r$", re.IGNORECASE | re.MULTILINE)

WRITES = frozenset(
    {
        *("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"),
        *("SendMessage", "DeleteMessage", "ChangeMessageVisibility"),
        *("S3 PUT", "S3 POST", "S3 DELETE"),
    }
)
"""Operations that change something."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its operation (`PutItem`, `SendMessage`, `S3 GET`), path and body."""

    operation: str
    path: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of a request in place of a plain reply.

    code: the error it is refused with, unseen by the emulator; reasons: those of a cancelled transaction.
    answer: what it is answered instead, as JSON. lost: it is carried out, but the connection ends before the
    reply. date: it is carried out, and the reply says that it is this time (RFC 9110, 5.6.7).
    """

    code: str = ""
    status: int = 400
    reasons: tuple[str, ...] = ()
    answer: Mapping[str, Any] | None = None
    lost: bool = False
    date: str = ""

    @property
    def passes(self) -> bool:
        """Whether the emulator sees the request."""
        return self.lost or bool(self.date)


Faults = Callable[[Asked], Fault | None]
Meanwhile = Callable[[Asked], Awaitable[None]]


async def _nothing(asked: Asked) -> None:
    pass


@dataclass
class AwsProxy:
    """Passes requests on to `upstream`. faults: asked about each request before it is passed on.

    meanwhile: what others do just before a request is passed on; it waits for that.
    """

    upstream: str
    faults: Faults = lambda asked: None
    meanwhile: Meanwhile = _nothing
    counts: Counter[str] = field(default_factory=Counter)
    seen: list[Asked] = field(default_factory=list)
    endpoint: str = ""
    _open: dict[asyncio.Task[Any], asyncio.StreamWriter] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=HEADER_LIMIT)
        self.endpoint = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._open.values():
            writer.close()
        if self._open:
            await asyncio.wait(self._open)

    @property
    def writes(self) -> int:
        """How many requests changed something."""
        return sum(count for operation, count in self.counts.items() if operation in WRITES)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, with a connection of its own to the emulator."""
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        address = urlsplit(self.upstream)
        behind, ahead = await asyncio.open_connection(address.hostname, address.port, limit=HEADER_LIMIT)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._exchange(reader, writer, behind, ahead):
                    pass
        finally:
            for stream in (writer, ahead):
                stream.close()
            del self._open[task]

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        behind: asyncio.StreamReader,
        ahead: asyncio.StreamWriter,
    ) -> bool:
        """One request and its reply. False if the connection is to end."""
        head = await reader.readuntil(b"\r\n\r\n")
        body = await _body(head, reader)
        asked = _asked(head, body)
        self.counts[asked.operation] += 1
        self.seen.append(asked)
        await self.meanwhile(asked)
        fault = self.faults(asked)
        if fault is not None and not fault.passes:
            writer.write(_refusal(fault))
            await writer.drain()
            return True
        ahead.write(head + body)
        await ahead.drain()
        answer_head = await behind.readuntil(b"\r\n\r\n")
        bodiless = head.startswith(b"HEAD ") or answer_head.split(b" ", 2)[1] in (b"204", b"304")
        answer = b"" if bodiless else await _body(answer_head, behind)
        if fault is not None and fault.lost:
            return False
        if fault is not None:
            answer_head = _DATE.sub(b"date: " + fault.date.encode(), answer_head)
        writer.write(answer_head + answer)
        await writer.drain()
        return True


def _asked(head: bytes, body: bytes) -> Asked:
    method, path, _ = head.split(b" ", 2)
    target = _TARGET.search(head)
    operation = target[1].decode() if target else f"S3 {method.decode()}"
    return Asked(operation, path.decode("latin-1"), body)


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    """The body that follows a head, as it was framed."""
    if _CHUNKED.search(head):
        return await _chunks(reader.readuntil, reader.readexactly)
    length = _LENGTH.search(head)
    return await reader.readexactly(int(length[1])) if length else b""


async def _chunks(
    line: Callable[[bytes], Awaitable[bytes]], exactly: Callable[[int], Awaitable[bytes]]
) -> bytes:
    found = b""
    while True:
        size = await line(b"\r\n")
        length = int(size.split(b";")[0], 16)
        found += size + await exactly(length + 2)
        if not length:
            return found


def _refusal(fault: Fault) -> bytes:
    error = {
        "__type": f"com.amazonaws.dynamodb.v20120810#{fault.code}",
        "message": "refused by the test",
        "CancellationReasons": [{"Code": reason} for reason in fault.reasons],
    }
    body = json.dumps(error if fault.answer is None else fault.answer).encode()
    status = fault.status if fault.answer is None else 200
    head = (
        f"HTTP/1.1 {status} Replied\r\nContent-Type: application/x-amz-json-1.0\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
