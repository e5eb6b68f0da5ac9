"""Running a command's asynchronous work, so that one signal ends it cleanly and a second one at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)
EXIT_CODE = 130
_SHOW_CURSOR = b"\x1b[?25h"


class Interrupted(Exception):
    """A signal ended the work. The message says so, and how to go on."""


class _Stop:
    """The first signal cancels the task, the second ends the process."""

    def __init__(self) -> None:
        self.requested = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None

    def arm(self, task: asyncio.Task[Any]) -> None:
        self._loop, self._task = task.get_loop(), task
        if self.requested:
            task.cancel()

    def heard(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            if sys.stderr is not None and sys.stderr.isatty():
                os.write(2, _SHOW_CURSOR)
            os._exit(EXIT_CODE)
        self.requested = True
        if self._loop and self._task:
            self._loop.call_soon_threadsafe(self._task.cancel)


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of the work. Raises `Interrupted` after SIGINT or SIGTERM, once it has cleaned up.

    The event loop is then left as it is: one of its threads may still wait for standard input.
    """
    stop, runner = _Stop(), asyncio.Runner()

    async def armed() -> T:
        task = asyncio.current_task()
        if task:
            stop.arm(task)
        return await work

    with _handled(stop):
        try:
            result = runner.run(armed())
        except BaseException:
            if stop.requested:
                raise Interrupted("interrupted.") from None
            runner.close()
            raise
    runner.close()
    return result


@contextmanager
def _handled(stop: _Stop) -> Iterator[None]:
    before = {number: signal.signal(number, stop.heard) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
