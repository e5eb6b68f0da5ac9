"""Wired parts of a library object, which belong to the event loop that uses them."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from rlm_rs.core.execution import Event
from rlm_rs.core.ports import ModelProvider
from rlm_rs.orchestrator.event_log import Listener
from rlm_rs.wiring.wired import Wiring

ANOTHER_LOOP = (
    "It works on another event loop, which still runs. Await it there, make another RLM for this loop, or "
    "close it there first."
)
FORKED = "It was made before this process was forked, and works in the process that made it. Make one here."


class _Wired:
    """Parts, and where they work. loop: that of the first use, None as long as none was running.

    keep_provider: it is the caller's, and works on when the loop ends.
    """

    def __init__(self, wiring: Wiring, keep_provider: bool) -> None:
        self.wiring = wiring
        self.loop: asyncio.AbstractEventLoop | None = None
        self.ended = False
        self._process = os.getpid()
        self._keep_provider = keep_provider
        self._until_the_end: AsyncGenerator[None] | None = None

    def use_on(self, running: asyncio.AbstractEventLoop | None) -> None:
        """Raise `RuntimeError` where they cannot be used; the first loop is theirs from then on."""
        if not self.here:
            raise RuntimeError(FORKED)
        if running is None or self.loop is running:
            return
        if self.loop is not None:
            raise RuntimeError(ANOTHER_LOOP)
        self.loop = running
        # asyncio.run and its like end a loop's open asynchronous generators before they close the loop:
        # no later could child processes and connections be ended in order
        self._until_the_end = self._ended_at_last()
        with suppress(StopIteration):
            self._until_the_end.asend(None).send(None)

    @property
    def left(self) -> bool:
        """Whether the loop they worked on is closed."""
        return self.loop is not None and self.loop.is_closed()

    @property
    def here(self) -> bool:
        """Whether this process made them."""
        return self._process == os.getpid()

    async def end(self) -> None:
        """End them, once."""
        if self.ended:
            return
        if self._until_the_end is not None and self.loop is asyncio.get_running_loop():
            await self._until_the_end.aclose()
        elif self.loop is None:
            await self.wiring.close(provider=not self._keep_provider)
        else:
            await self.wiring.close_left(provider=not self._keep_provider)

    async def _ended_at_last(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self.ended = True
            await self.wiring.close(provider=not self._keep_provider)


class WiringOnALoop:
    """Makes the wired parts when they are first needed, and anew once their event loop is closed.

    Connections and child processes belong to the loop they were begun in: on another one they fail or wait
    for ever. provider: the caller's own, if there is one, which is closed with `close` only.
    """

    def __init__(self, make: Callable[[], Wiring], provider: ModelProvider | None = None) -> None:
        self._make = make
        self._provider = provider
        self._listeners: list[Listener] = []
        self._wired: _Wired | None = None
        # those of loops that were closed without ending what ran there: ended with the last
        self._left: list[_Wired] = []
        self._making = threading.Lock()

    def get(self) -> Wiring:
        """The parts. Raises `RuntimeError` on another loop than theirs, and in a forked process."""
        running = _running_loop()
        with self._making:
            if self._wired is not None and self._wired.left:
                if not self._wired.ended:
                    self._left.append(self._wired)
                self._wired = None
            if self._wired is None:
                self._wired = self._new()
            self._wired.use_on(running)
            return self._wired.wiring

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call the listener for what is recorded from now on; returns what stops it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def close(self) -> None:
        """End every process and connection; those of a process this one was forked from are not its own."""
        with self._making:
            made, self._wired = [*self._left, *filter(None, [self._wired])], None
            self._left.clear()
        wired = [one for one in made if one.here]
        for one in wired:
            await one.end()
        if wired and self._provider is not None:
            await _closed(self._provider, wired[-1].loop)

    @property
    def made(self) -> bool:
        """Whether there is anything to close."""
        return self._wired is not None or bool(self._left)

    def _new(self) -> _Wired:
        wiring = self._make()
        wiring.ports.log.listen(self._heard)
        return _Wired(wiring, keep_provider=self._provider is not None)

    def _heard(self, execution_id: str, seq: int, event: Event) -> None:
        for listener in tuple(self._listeners):
            listener(execution_id, seq, event)


async def _closed(provider: ModelProvider, worked_on: asyncio.AbstractEventLoop | None) -> None:
    try:
        await provider.close()
    except RuntimeError:
        # connections that were made on another loop refuse to be closed on this one
        if worked_on in (None, asyncio.get_running_loop()):
            raise


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
