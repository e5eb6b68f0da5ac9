"""Following a journal: at once where it is written in this process, soon where another writes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from rlm_rs.core.execution import Event, Finished
from rlm_rs.orchestrator.event_log import EventLog

FIRST_LOOK_SECONDS = 0.05
RAREST_LOOK_SECONDS = 1.0


async def following(log: EventLog, execution_id: str, start: int) -> AsyncGenerator[tuple[int, Event], None]:
    """Numbered events from `start` on, up to `Finished`; for an execution that is the asker's own.

    Ends too when the journal is gone: its session was removed.
    """
    written = asyncio.Event()

    def listener(changed: str, _seq: int, _event: Event) -> None:
        if changed == execution_id:
            written.set()

    stop = log.listen(listener)
    try:
        pause = FIRST_LOOK_SECONDS
        while True:
            written.clear()
            events = await log.tail(execution_id, start)
            for seq, event in events:
                yield seq, event
                if isinstance(event, Finished):
                    return
            start += len(events)
            if not events and not await log.exists(execution_id, start):
                return
            pause = FIRST_LOOK_SECONDS if events else min(RAREST_LOOK_SECONDS, pause * 1.5)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await written.wait()
    finally:
        stop()
