"""Blocking work that may never end, in a thread that nothing has to wait for."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def in_own_thread(function: Callable[[], T]) -> T:
    """What a function returns, run in a daemon thread of its own; raises what it raises.

    Unlike in the loop's executor, one that hangs takes no thread from others and does not keep the process
    from ending. When the waiting is cancelled, the thread is left to its own end.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[T | None, BaseException | None]] = loop.create_future()
    context = contextvars.copy_context()

    def settle(value: T | None, error: BaseException | None) -> None:
        if not done.done():
            done.set_result((value, error))

    def run() -> None:
        value, error = None, None
        try:
            value = context.run(function)
        except BaseException as raised:  # noqa: BLE001 - the edge of the thread: whoever waits is told
            error = raised
        # a loop that is closed waits for nothing
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, name="rlm-own", daemon=True).start()
    value, error = await done
    if error is not None:
        raise error
    return value  # type: ignore[return-value]
