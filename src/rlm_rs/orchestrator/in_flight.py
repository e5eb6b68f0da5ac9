"""Doing the same thing once for all who ask for it while it is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Work(Generic[T]):
    task: asyncio.Task[T]
    waiting: int = 0


class InFlight(Generic[T]):
    """Work under way by what identifies it. Belongs to one event loop."""

    def __init__(self) -> None:
        self._work: dict[str, _Work[T]] = {}

    async def shared(self, key: str, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What the work gives; it is begun unless it is under way.

        It is cancelled only when the last of those who wait for it is.
        """
        work = self._work.get(key)
        if work is None:
            work = self._work[key] = _Work(asyncio.ensure_future(begin()))
        work.waiting += 1
        try:
            return await asyncio.shield(work.task)
        finally:
            work.waiting -= 1
            if not work.waiting:
                work.task.cancel()
                if self._work.get(key) is work:
                    del self._work[key]
