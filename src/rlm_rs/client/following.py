"""The events of an execution as they come; a stream that breaks is taken up again where it was."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

import httpx2
import orjson
from pydantic import ValidationError

from rlm_rs.client.transport import Transport
from rlm_rs.core.errors import RlmError, ServerUnreadable
from rlm_rs.core.execution import Event, Finished
from rlm_rs.orchestrator.event_log import event_of

STREAM = "text/event-stream"
NO_CONTENT = 204
PASSING_CODES = frozenset({"RATE_LIMITED", "NOT_READY", "SERVER_UNREADABLE"})


async def follow(transport: Transport, execution_id: str, after: int) -> AsyncGenerator[tuple[int, Event]]:
    """Numbered events after number `after` (-1: all), those to come as they come, up to `Finished`.

    Raises `ExecutionNotFound`, and `ServerUnreachable` after as many failures in a row as a request may have.
    """
    failures = 0
    while True:
        problem: Exception | None = None
        try:
            async with transport.stream(f"/executions/{execution_id}/events", _headers(after)) as response:
                if response.status_code == NO_CONTENT:
                    return
                async for number, event in _events(response, transport.url):
                    after, failures = number, 0
                    yield number, event
                    if isinstance(event, Finished):
                        return
        except httpx2.TransportError as error:
            problem = transport.unreachable(error)
        except RlmError as error:
            if error.code not in PASSING_CODES or "event" in error.details:
                raise
            problem = error
        if failures >= transport.max_retries:
            raise problem or ServerUnreadable(url=transport.url, reason="a stream that ends at once")
        await transport.pause(failures)
        failures += 1


def _headers(after: int) -> dict[str, str]:
    return {"Accept": STREAM, **({"Last-Event-ID": str(after)} if after >= 0 else {})}


async def _events(response: httpx2.Response, url: str) -> AsyncIterator[tuple[int, Event]]:
    async for sent in httpx2.EventSource(response, max_event_size=None):
        if not sent.data:
            continue
        try:
            yield int(sent.id), event_of(orjson.loads(sent.data))
        except (ValueError, ValidationError) as error:
            reason = f"an event {sent.event} that this version does not know"
            raise ServerUnreadable(url=url, reason=reason, event=sent.event) from error
