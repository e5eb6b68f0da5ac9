"""A server on a loopback port that answers requests by a function: for what stands in for AWS in tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from rlm_rs.testing.openai_http import BadRequest, HttpAnswer, HttpRequest, Wire, read_request, send

Answering = Callable[[HttpRequest], Awaitable[HttpAnswer]]


class LocalServer:
    """An async context manager. What `answering` raises breaks that connection and is raised at the end."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self.address = ""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Wire(self._connected), "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if kind is None and self._errors:
            raise self._errors[0]

    def _connected(self, wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._converse(wire, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, BadRequest, asyncio.IncompleteReadError):
                while (request := await read_request(reader)) is not None:
                    await send(wire, writer, await self._answering(request))
        except Exception as error:  # noqa: BLE001 - the edge of a connection: raised when the server is left
            self._errors.append(error)
        finally:
            writer.close()


def answer(status: int, body: bytes = b"", **headers: str) -> HttpAnswer:
    """A whole answer of JSON. Underscores in the names of headers stand for hyphens."""
    return HttpAnswer(status, (body,), {name.replace("_", "-"): value for name, value in headers.items()})
