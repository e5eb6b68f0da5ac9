"""Whether a tenant may ask for more now."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from rlm_rs.core.errors import RateLimited
from rlm_rs.core.limits import Limits, RateLimits, rate_of
from rlm_rs.core.ports import Catalog, Rates
from rlm_rs.core.records import ExecutionStatus

EXECUTION_RETRY_SECONDS = 2


class Limiter:
    """Holds the tenants to RATE_LIMITS_JSON. `clock_ns` gives nanoseconds since the epoch.

    Rates are exact over all processes that share `rates`. Executions at a time are exact within one process;
    of several, each may let one more through.
    """

    def __init__(
        self,
        limits: RateLimits,
        rates: Rates,
        catalog: Catalog,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._limits = limits
        self._rates = rates
        self._catalog = catalog
        self._clock_ns = clock_ns
        self._starting: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def check_request(self, tenant_id: str) -> None:
        """Count a request. Raises `RateLimited`, with the seconds until another is let through.

        A refused request does not count.
        """
        rate = rate_of(self._limits.of(tenant_id))
        if rate is None:
            return
        ahead = await self._rates.take(tenant_id, self._clock_ns(), rate.step_ns, rate.burst_ns)
        if not rate.allows(ahead):
            raise RateLimited(
                **_details(rate.retry_after(ahead), rate.requests), window_seconds=rate.window_seconds
            )

    @asynccontextmanager
    async def starting_execution(self, tenant_id: str) -> AsyncIterator[None]:
        """Within it an execution may be started. Raises `RateLimited` if too many are RUNNING already."""
        limits = self._limits.of(tenant_id)
        if limits.max_concurrent_executions is None:
            yield
            return
        async with self._starting[tenant_id]:
            await self._check_running(tenant_id, limits)
            yield

    async def _check_running(self, tenant_id: str, limits: Limits) -> None:
        most = limits.max_concurrent_executions
        running = await self._catalog.count_executions(tenant_id, ExecutionStatus.RUNNING)
        if most is not None and running >= most:
            raise RateLimited(
                f"{running} executions are running, and {most} may run at a time. Try again in "
                f"{EXECUTION_RETRY_SECONDS} seconds, or cancel one.",
                **_details(EXECUTION_RETRY_SECONDS, most),
                window_seconds=None,
                running=running,
            )


def _details(retry_after: int, limit: int) -> dict[str, Any]:
    """`retry_after` also by the name that the seed had for it, and what else it told a refused client."""
    return {
        "allowed": False,
        "limit": limit,
        "remaining": 0,
        "reset_seconds": retry_after,
        "retry_after": retry_after,
    }
