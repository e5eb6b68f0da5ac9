"""Objects of a blob store over HTTP, by ranges and by signed links with an end: what S3 is to a reader.

async with ObjectServer(blobs) as objects:
    (url,) = await objects.links(["s3://bucket/key"], 60)
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote

from rlm_rs.core.errors import BlobNotFound
from rlm_rs.core.ports import Blobs
from rlm_rs.testing.local_server import LocalServer, answer
from rlm_rs.testing.openai_http import HttpAnswer, HttpRequest

RANGE = re.compile(r"bytes=(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Read:
    """One ranged read as it was asked for: bytes `[start, end)`."""

    uri: str
    start: int
    end: int


@dataclass
class ObjectServer:
    """Serves every object of `blobs`. reads: what was asked for, in order. at_once: the most at one time.

    faults: answers to give in place of the next ones. latency: seconds before each answer.
    """

    blobs: Blobs
    latency: float = 0.0
    reads: list[Read] = field(default_factory=list)
    at_once: int = 0
    faults: deque[HttpAnswer] = field(default_factory=deque)
    _under_way: int = 0
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(16))

    async def __aenter__(self) -> Self:
        self._server = await LocalServer(self._answer).__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.__aexit__(kind, error, trace)

    async def links(self, uris: Sequence[str], seconds: float) -> Sequence[str]:
        """As `core.ports.Links`."""
        until = time.time() + seconds
        return [f"http://{self._server.address}/{self._signed(uri, until)}" for uri in uris]

    def _signed(self, uri: str, until: float) -> str:
        return (
            f"{quote(uri.removeprefix('s3://'))}?until={until}&signature={self._signature(uri, str(until))}"
        )

    def _signature(self, uri: str, until: str) -> str:
        return hmac.digest(self._secret, f"{uri} {until}".encode(), "sha256").hex()

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        uri = "s3://" + unquote(request.path.removeprefix("/"))
        if not self._permitted(uri, request.query):
            return answer(403)
        self._under_way += 1
        self.at_once = max(self.at_once, self._under_way)
        try:
            await asyncio.sleep(self.latency)
            return await self._ranged(uri, request.headers.get("range", ""))
        finally:
            self._under_way -= 1

    def _permitted(self, uri: str, query: Mapping[str, Sequence[str]]) -> bool:
        (until,), (signature,) = query.get("until", [""]), query.get("signature", [""])
        return hmac.compare_digest(self._signature(uri, until), signature) and float(until) > time.time()

    async def _ranged(self, uri: str, asked: str) -> HttpAnswer:
        match = RANGE.fullmatch(asked)
        if match is None:
            return answer(400)
        start, end = int(match[1]), int(match[2]) + 1
        self.reads.append(Read(uri, start, end))
        if self.faults:
            return self.faults.popleft()
        try:
            size = await self.blobs.size(uri)
            body = await self.blobs.get(uri, start, end - start)
        except BlobNotFound:
            return answer(404)
        return answer(206, body, Content_Range=f"bytes {start}-{start + len(body) - 1}/{size}")
