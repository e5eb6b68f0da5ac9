"""Work under way, shared by all who ask for the same while it goes on."""

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
    """Work by key. It is cancelled only when the last of those who wait for it is."""

    def __init__(self) -> None:
        self._under_way: dict[str, _Work[T]] = {}

    async def shared(self, key: str, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of what is under way for that key, or of what is begun for it now."""
        if key not in self._under_way:
            self._under_way[key] = _Work(asyncio.ensure_future(begin()))
        work = self._under_way[key]
        work.waiting += 1
        try:
            return await asyncio.shield(work.task)
        finally:
            work.waiting -= 1
            if not work.waiting:
                work.task.cancel()
                if self._under_way.get(key) is work:
                    del self._under_way[key]
