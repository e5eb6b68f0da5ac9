"""Requests to the server: its address and key, repeats with a growing pause, errors as the library's own."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from rlm_rs.core.errors import RlmError, ServerUnreachable, ServerUnreadable, ValidationFailed, error_of
from rlm_rs.version import __version__

Body = Callable[[], AsyncIterator[bytes]]
"""Makes a request's body, anew for each attempt."""

BASE_PATH = "/v1"
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 8.0
MAX_RETRY_AFTER_SECONDS = 60.0
"""A server that wants a longer pause is not waited for."""

STREAM_SILENCE_SECONDS = 60.0
"""The server sends a heartbeat every 15 seconds: a stream silent for this long is dead."""

_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_PASSING_CODES = frozenset({"RATE_LIMITED", "REQUEST_UNDER_WAY", "NOT_READY"})
_PASSING_STATUSES = frozenset({502, 503, 504})
"""What a proxy answers with while the server is away."""


class Transport:
    """One server. seconds: how long a response may take; max_retries: repeats of one request, at most."""

    def __init__(self, base_url: str, api_key: str | None, *, seconds: float, max_retries: int) -> None:
        self.url = server_url(base_url)
        self.max_retries = max_retries
        headers = {"User-Agent": f"rlm-rs/{__version__}"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        self._http = httpx2.AsyncClient(base_url=self.url + BASE_PATH, headers=headers, timeout=seconds)
        self._seconds = seconds

    async def send(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool = True,
        waits_seconds: float = 0.0,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        **parts: Any,
    ) -> httpx2.Response:
        """The response, a good one.

        repeatable: the request may be made again when nobody knows whether it arrived. waits_seconds: how
        long the server may wait before it responds. Raises the error the server names, `ServerUnreachable`,
        `ServerUnreadable`.
        """
        timeout = httpx2.Timeout(self._seconds, read=self._seconds + waits_seconds)
        attempt = 0
        while True:
            content = body() if body else None
            try:
                response = await self._http.request(
                    method, path, headers=headers, content=content, timeout=timeout, **parts
                )
            except httpx2.TransportError as error:
                if not (repeatable or isinstance(error, _NEVER_SENT)) or attempt >= self.max_retries:
                    raise self.unreachable(error) from error
                await self.pause(attempt)
            else:
                if response.is_success:
                    return response
                await self._refused(response, repeatable, attempt)
            attempt += 1

    @asynccontextmanager
    async def stream(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[httpx2.Response]:
        """A response whose body is read as it comes. Raises the error the server names; repeats nothing."""
        timeout = httpx2.Timeout(self._seconds, read=STREAM_SILENCE_SECONDS)
        async with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
            if not response.is_success:
                await response.aread()
                raise self.error(response)
            yield response

    async def pause(self, attempt: int, at_least: float | None = None) -> None:
        """Wait before another attempt: what the server asked for, else longer each time, up to chance."""
        if at_least is None:
            longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt)
            await asyncio.sleep(random.uniform(longest / 2, longest))
        else:
            await asyncio.sleep(at_least + random.uniform(0, FIRST_PAUSE_SECONDS))

    async def close(self) -> None:
        """End every connection."""
        await self._http.aclose()

    def unreachable(self, error: Exception) -> ServerUnreachable:
        """The error that says so."""
        return ServerUnreachable(url=self.url, reason=str(error) or type(error).__name__)

    def error(self, response: httpx2.Response) -> RlmError:
        """The error a response names."""
        named = _named(response)
        if named is None:
            reason = f"HTTP {response.status_code} and no reason"
            return ServerUnreadable(url=self.url, reason=reason, status=response.status_code)
        details = {**(named.get("details") or {}), "request_id": named.get("request_id")}
        return error_of(str(named["code"]), str(named.get("message") or named["code"]), details)

    async def _refused(self, response: httpx2.Response, repeatable: bool, attempt: int) -> None:
        """Wait, if the refusal is one that passes; else raise what it says."""
        error, wanted = self.error(response), retry_after(response)
        passing = error.code in _PASSING_CODES or (
            repeatable and isinstance(error, ServerUnreadable) and response.status_code in _PASSING_STATUSES
        )
        if not passing or attempt >= self.max_retries or (wanted or 0) > MAX_RETRY_AFTER_SECONDS:
            raise error
        await self.pause(attempt, wanted)


def server_url(text: str) -> str:
    """The server's address without a path of the API. Raises `ValidationFailed`."""
    url = text.strip().rstrip("/").removesuffix(BASE_PATH)
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        parsed = httpx2.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValidationFailed(reason=f"{text!r} is no server: give a URL such as https://rlm.example.com.")
    return url


def retry_after(response: httpx2.Response) -> float | None:
    """Seconds until the server wants to hear of it again (RFC 9110, section 10.2.3)."""
    value = response.headers.get("Retry-After")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _named(response: httpx2.Response) -> Mapping[str, Any] | None:
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return None
    return error if isinstance(error, Mapping) and "code" in error else None
