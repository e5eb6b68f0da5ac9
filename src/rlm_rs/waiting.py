"""Asynchronous work waited for from synchronous code, on an event loop of its own.

So it also works where a loop runs already, as in a notebook.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

A = TypeVar("A")
T = TypeVar("T")
U = TypeVar("U")
P = ParamSpec("P")

STOPPED = "It is closed, and what was under way is cancelled. Make another one to ask more."
FORKED = "It was made before this process was forked, and works in the process that made it. Make one here."
ON_ITS_THREAD = (
    "A listener, a progress function or an asynchronous tool cannot wait for the work it is called from. "
    "Await the asynchronous method, or call this one from another thread."
)


class LoopThread:
    """An event loop on a daemon thread, for the other threads of the process that made it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rlm", daemon=True)
        self._process = os.getpid()
        self._under_way: set[asyncio.Task[Any]] = set()
        # so that nothing is handed to a loop that will not come to it
        self._handing = threading.Lock()
        self._stopped = False
        self._thread.start()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of the work. Interrupted, it cancels the work.

        Raises `RuntimeError` where it would wait for ever: after `stop`, on the loop's own thread and in
        a forked process.
        """
        future = self._handed(work)
        try:
            return future.result()
        except BaseException as error:
            future.cancel()
            if self._stopped and isinstance(error, CancelledError):
                raise RuntimeError(STOPPED) from None
            raise

    def each(self, items: AsyncIterator[T]) -> Iterator[T]:
        """The items as they come; what makes them is ended with this iterator."""
        try:
            while (item := self.wait(_next(items))) is not _END:
                yield item
        finally:
            self._end(items)

    def stop(self, last: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Cancel what is under way, do the last work, end the loop and its thread.

        A second time, and in a forked process, there is nothing to do.
        """
        if self._process != os.getpid():
            return
        if self._on_its_thread():
            raise RuntimeError(ON_ITS_THREAD)
        with self._handing:
            if self._stopped:
                return
            self._stopped = True
            ended = asyncio.run_coroutine_threadsafe(self._ended(last), self._loop)
        try:
            ended.result()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _handed(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if why := self._why_not():
            work.close()
            raise RuntimeError(why)
        with self._handing:
            if not self._stopped:
                return asyncio.run_coroutine_threadsafe(self._noted(work), self._loop)
        work.close()
        raise RuntimeError(STOPPED)

    def _why_not(self) -> str | None:
        if self._process != os.getpid():
            return FORKED
        return ON_ITS_THREAD if self._on_its_thread() else None

    def _on_its_thread(self) -> bool:
        return threading.get_ident() == self._thread.ident

    def _end(self, items: AsyncIterator[Any]) -> None:
        if self._stopped or self._process != os.getpid():
            # ended with the loop, or another process's
            return
        if self._on_its_thread():
            # an iterator that was dropped is ended wherever the garbage collector happens to run
            task = self._loop.create_task(_closed(items))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        else:
            self.wait(_closed(items))

    async def _noted(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            return await work
        finally:
            self._under_way.discard(task)

    async def _ended(self, last: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
        # first what somebody waits for: its own cleaning up needs what the last work ends
        await _cancelled(self._under_way)
        try:
            if last is not None:
                await last()
        finally:
            await _cancelled(asyncio.all_tasks() - {asyncio.current_task()})
            await self._loop.shutdown_asyncgens()


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


async def _cancelled(tasks: Collection[asyncio.Task[Any] | None]) -> None:
    found = [task for task in tasks if task is not None]
    for task in found:
        task.cancel()
    await asyncio.gather(*found, return_exceptions=True)
