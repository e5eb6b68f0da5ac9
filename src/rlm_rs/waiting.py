"""Asynchronous work waited for from synchronous code, on an event loop of its own.

So it also works where a loop runs already, as in a notebook.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

A = TypeVar("A")
T = TypeVar("T")
U = TypeVar("U")
P = ParamSpec("P")


class LoopThread:
    """An event loop on a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rlm", daemon=True)
        self._thread.start()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of the work. Interrupted, it cancels the work."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def each(self, items: AsyncIterator[T]) -> Iterator[T]:
        """The items as they come; what makes them is ended with this iterator."""
        try:
            while (item := self.wait(_next(items))) is not _END:
                yield item
        finally:
            self.wait(_closed(items))

    def stop(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Waits(Protocol[A]):
    """Stands before something asynchronous: `behind` does the work, `loop` waits for it."""

    behind: A
    loop: LoopThread


def waiting(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Waits[A], P], T]:
    """A method of what stands behind, with the same arguments, waited for."""

    def wait(self: Waits[A], /, *args: P.args, **named: P.kwargs) -> T:
        return self.loop.wait(method(self.behind, *args, **named))

    functools.update_wrapper(wait, method)
    return wait


def iterating(
    method: Callable[Concatenate[A, P], AsyncIterator[T]],
) -> Callable[Concatenate[Waits[A], P], Iterator[T]]:
    """A method of what stands behind that gives items, as an ordinary iterator."""

    def iterate(self: Waits[A], /, *args: P.args, **named: P.kwargs) -> Iterator[T]:
        return self.loop.each(method(self.behind, *args, **named))

    functools.update_wrapper(iterate, method)
    return iterate


_END: Any = object()


async def _next(items: AsyncIterator[T]) -> T:
    found: T = await anext(items, _END)
    return found


async def _closed(items: AsyncIterator[Any]) -> None:
    close = getattr(items, "aclose", None)
    if close is not None:
        await close()
