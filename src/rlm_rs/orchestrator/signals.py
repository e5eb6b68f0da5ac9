"""Word passed on within this process, so that nobody has to wait for the next look at the store.

Whoever asks for work and whoever does it may be in one process or in several. Signals only make it quicker
in the first case; that everything is found in the second rests on the work port and the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from rlm_rs.core.records import WorkKind


class Signals:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._listening: dict[WorkKind, set[asyncio.Event]] = {}
        self._stops: dict[str, set[asyncio.Event]] = {}

    def added(self, kind: WorkKind) -> None:
        """There is something to do."""
        for event in self._listening.get(kind, ()):
            event.set()

    @contextmanager
    def listening(self, kind: WorkKind) -> Iterator[asyncio.Event]:
        """An event that is set whenever something is added; whoever listens clears it before it looks."""
        event = asyncio.Event()
        listening = self._listening.setdefault(kind, set())
        listening.add(event)
        try:
            yield event
        finally:
            listening.discard(event)

    def stop(self, item_id: str) -> None:
        """Somebody wants this item to stop."""
        for event in self._stops.get(item_id, ()):
            event.set()

    def watch(self, item_id: str) -> asyncio.Event:
        """An event that is set when this item is to stop. Give it back to `unwatch`."""
        event = asyncio.Event()
        self._stops.setdefault(item_id, set()).add(event)
        return event

    def unwatch(self, item_id: str, event: asyncio.Event) -> None:
        """Nobody waits for it any more."""
        watching = self._stops.get(item_id, set())
        watching.discard(event)
        if not watching:
            self._stops.pop(item_id, None)
