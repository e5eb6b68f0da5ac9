"""Ranged reads over HTTP (RFC 9110, section 14): blocks of objects, several at a time, into sparse files.

An object is named by a URL that carries its own permission, so whoever reads needs none.
"""

from __future__ import annotations

import http.client
import os
import random
import ssl
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import SplitResult, urlsplit

from rlm_rs.sandbox.fetched import BLOCK_BYTES

CONNECTIONS = 8
ATTEMPTS = 4
PAUSE_SECONDS = 0.1
TIMEOUT_SECONDS = 10.0
PIECE_BYTES = 1 << 20

_PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that another attempt may not meet."""


class ReadFailed(Exception):
    """An object could not be read. `status` is what its server said, 0 if it said nothing."""

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


class ReadTimedOut(Exception):
    """The time allowed was over before all was read."""


class _Passing(Exception):
    """An attempt failed in a way that another may not."""


@dataclass(frozen=True, slots=True)
class Block:
    """A range of an object, and the file that it goes into at the same place."""

    url: str
    start: int
    end: int
    size: int
    descriptor: int


@dataclass(slots=True)
class Reads:
    """What was read: requests answered, bytes, and seconds somebody waited for them."""

    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0


def block_of(url: str, number: int, size: int, descriptor: int) -> Block:
    """Block `number` of an object of `size` bytes; the last one is shorter."""
    start = number * BLOCK_BYTES
    return Block(url, start, min(start + BLOCK_BYTES, size), size, descriptor)


@dataclass
class RangeReader:
    """Reads blocks at the same time, over connections that are kept."""

    reads: Reads = field(default_factory=Reads)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="reads")

    @cached_property
    def _connections(self) -> threading.local:
        return threading.local()

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    def read(self, blocks: Iterable[Block], deadline: float) -> None:
        """Fill in all the blocks by then (monotonic clock). When it returns or raises, nothing is under way.

        Raises `ReadFailed` or `ReadTimedOut` for the first block that cannot be had.
        """
        began = time.monotonic()
        wanted = list(blocks)
        waiting = [self._threads.submit(self._read, block, deadline) for block in wanted]
        failures = [future.exception() for future in waiting]
        self.reads.seconds += time.monotonic() - began
        for failure in failures:
            if failure is not None:
                raise failure
        self.reads.requests += len(wanted)
        self.reads.bytes += sum(block.end - block.start for block in wanted)

    def _read(self, block: Block, deadline: float) -> None:
        for attempt in range(ATTEMPTS):
            try:
                self._attempt(block, deadline)
            except _Passing as failure:
                reason = str(failure)
                time.sleep(random.uniform(0, PAUSE_SECONDS * 2**attempt))
            else:
                return
        raise ReadFailed(f"{reason}, {ATTEMPTS} times")

    def _attempt(self, block: Block, deadline: float) -> None:
        url = urlsplit(block.url)
        connection = self._connection(url)
        try:
            _allow(connection, _seconds_until(deadline))
            response = _asked(connection, url, block)
            _check(response, block)
            _store(response, block, deadline)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _Passing(f"no whole answer ({type(error).__name__}: {error})") from None
        except BaseException:
            connection.close()
            raise

    def _connection(self, url: SplitResult) -> http.client.HTTPConnection:
        """This thread's connection to the URL's server."""
        kept: dict[str, http.client.HTTPConnection] = self._connections.__dict__
        place = f"{url.scheme}://{url.netloc}"
        if place not in kept:
            kept.clear()
            kept[place] = self._connected(url)
        return kept[place]

    def _connected(self, url: SplitResult) -> http.client.HTTPConnection:
        if url.hostname is None or url.scheme not in ("http", "https"):
            raise ReadFailed("its URL is not one of http or https")
        if url.scheme == "http":
            return http.client.HTTPConnection(url.hostname, url.port)
        return http.client.HTTPSConnection(url.hostname, url.port, context=self._context)


def _seconds_until(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise ReadTimedOut
    return seconds


def _allow(connection: http.client.HTTPConnection, seconds: float) -> None:
    """Wait no longer for the server than this, whether the connection is open yet or not."""
    connection.timeout = min(TIMEOUT_SECONDS, seconds)
    if connection.sock is not None:
        connection.sock.settimeout(connection.timeout)


def _asked(
    connection: http.client.HTTPConnection, url: SplitResult, block: Block
) -> http.client.HTTPResponse:
    target = f"{url.path}?{url.query}" if url.query else url.path
    connection.request("GET", target, headers={"Range": f"bytes={block.start}-{block.end - 1}"})
    return connection.getresponse()


def _check(response: http.client.HTTPResponse, block: Block) -> None:
    if response.status in _PASSING:
        raise _Passing(f"its server said {response.status}")
    if response.status != http.client.PARTIAL_CONTENT:
        raise ReadFailed(f"its server said {response.status}", response.status)
    wanted, got = f"bytes {block.start}-{block.end - 1}/{block.size}", response.headers["Content-Range"]
    if got != wanted or response.length != block.end - block.start:
        raise ReadFailed(f"it is not as long as its document says ({got} in place of {wanted})")


def _store(response: http.client.HTTPResponse, block: Block, deadline: float) -> None:
    buffer = memoryview(bytearray(min(PIECE_BYTES, block.end - block.start)))
    at = block.start
    while at < block.end:
        _seconds_until(deadline)
        count = response.readinto(buffer[: block.end - at])
        if not count:
            raise http.client.IncompleteRead(b"", block.end - at)
        _write(block.descriptor, buffer[:count], at)
        at += count


def _write(descriptor: int, data: memoryview, at: int) -> None:
    while data:
        count = os.pwrite(descriptor, data, at)
        data, at = data[count:], at + count
