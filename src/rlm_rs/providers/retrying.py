"""Asking again after a failure that may pass: exponential backoff with full jitter, within a deadline."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NoReturn, TypeVar

from rlm_rs.core.errors import ProviderFailed

FailureKind = Literal[
    "auth",
    "not_found",
    "rate_limit",
    "quota",
    "timeout",
    "connection",
    "server",
    "malformed",
    "bad_request",
    "content_filter",
    "context_length",
    "length",
]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one attempt gave no reply.

    message is one line that says what to do. retry_after is in seconds, as the provider asked.
    extra goes into the error's details.
    """

    kind: FailureKind
    message: str
    status: int | None = None
    retryable: bool = False
    retry_after: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to ask.

    attempts counts the first one. The n-th wait is a random part of `base_seconds * 2**n`, at most
    `cap_seconds` ("full jitter", https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    Where the provider says how long to wait, that is waited, and the jitter of the first wait on top, so
    that calls refused together do not come back together. Nothing is started after `total_seconds`.
    """

    attempts: int = 3
    base_seconds: float = 0.5
    cap_seconds: float = 8.0
    total_seconds: float = 600.0

    def delay(self, attempt: int, retry_after: float | None, chance: float) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 1); chance is in [0, 1)."""
        if retry_after is not None:
            return retry_after + self.base_seconds * chance
        return min(self.cap_seconds, self.base_seconds * 2.0 ** min(attempt - 1, 30)) * chance


T = TypeVar("T")


async def with_retries(attempt: Callable[[float], Awaitable[T | Failure]], policy: RetryPolicy) -> T:
    """Call `attempt` with the seconds that are left until it gives something.

    Raises `ProviderFailed` when a failure cannot pass, the attempts are used up, or the next wait would
    end after the deadline. Cancelling it cancels the attempt or the wait at once.
    """
    deadline = time.monotonic() + policy.total_seconds
    number = 1
    while isinstance(outcome := await attempt(deadline - time.monotonic()), Failure):
        delay = policy.delay(number, outcome.retry_after, random.random())
        left = deadline - time.monotonic()
        if not outcome.retryable or number >= policy.attempts:
            _give_up(outcome, number)
        if delay >= left:
            _give_up(
                outcome, number, f" The next attempt is due in {delay:.0f} s, with {max(left, 0):.0f} s left."
            )
        await asyncio.sleep(delay)
        number += 1
    return outcome


def _give_up(failure: Failure, attempts: int, why: str = "") -> NoReturn:
    tried = f" ({attempts} attempts)" if attempts > 1 else ""
    raise ProviderFailed(
        failure.message + tried + why,
        kind=failure.kind,
        status=failure.status,
        attempts=attempts,
        retryable=failure.retryable,
        **failure.extra,
    )


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait as the headers say, or None.

    Reads `retry-after-ms` (OpenAI) first, then `Retry-After` as seconds or as a date (RFC 9110, 10.2.3).
    Names must be in lower case. A time in the past is 0.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        if (seconds := _number(headers.get(name))) is not None:
            return max(0.0, seconds / unit)
    return _until(headers.get("retry-after", ""), now or datetime.now(UTC))


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if abs(value) < 1e9 else None


def _until(date: str, now: datetime) -> float | None:
    try:
        when = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - now).total_seconds())
