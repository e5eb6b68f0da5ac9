"""An execution as it happens: its events once they are recorded, and at last the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from rlm_rs.core.answers import Answer, answered
from rlm_rs.core.corpus import Corpus
from rlm_rs.core.execution import Event, Run
from rlm_rs.orchestrator.answerer import answer
from rlm_rs.orchestrator.executions import Ask, report, start
from rlm_rs.orchestrator.ports import Ports

_END: Any = object()


async def streamed(ask: Ask, corpus: Corpus, ports: Ports) -> AsyncGenerator[Event | Answer]:
    """Start an execution and drive it. Closed early, it stops the work, which can be resumed.

    Raises `ExecutionFailed` where there is nothing to read in the end.
    """
    run = await start(ask, corpus, ports)
    events: asyncio.Queue[Event] = asyncio.Queue()
    wanted = run.execution.execution_id

    def heard(owner: str, _: int, event: Event) -> None:
        if owner == wanted:
            events.put_nowait(event)

    unlisten = ports.log.listen(heard)
    work: asyncio.Task[Run] = asyncio.ensure_future(answer(run, corpus, ports))
    work.add_done_callback(lambda _: events.put_nowait(_END))
    try:
        while (event := await events.get()) is not _END:
            yield event
        yield answered(await report(await work, corpus, ports))
    finally:
        unlisten()
        work.cancel()
