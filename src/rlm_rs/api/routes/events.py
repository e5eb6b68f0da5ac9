"""The events of an execution: as a page of JSON, or as a stream that replays and then follows."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, Header, Response
from starlette.responses import StreamingResponse

from rlm_rs.api.envelope import RECORDED, documented
from rlm_rs.api.gate import Reader
from rlm_rs.api.pages import Cursor, Limit, growing_page, place_of
from rlm_rs.api.parts import ServiceDep
from rlm_rs.api.sse import HEADERS, STREAM, STREAMED, frame, kept_alive
from rlm_rs.api.views import EventPage, EventView
from rlm_rs.core.execution import Event, Finished
from rlm_rs.orchestrator import executions
from rlm_rs.orchestrator.event_log import event_data, replayed
from rlm_rs.orchestrator.ports import Service

router = APIRouter(prefix="/v1", tags=["executions"])

START = -1


@router.get(
    "/executions/{execution_id}/events",
    response_model=EventPage,
    responses={
        **documented(*RECORDED),
        200: {
            "content": STREAMED,
            "description": "a page, or with `Accept: text/event-stream` a stream",
        },
        204: {"description": "a stream was asked for, and the execution has ended with nothing more to send"},
    },
)
async def get_events(
    execution_id: str,
    caller: Reader,
    service: ServiceDep,
    limit: Limit = 200,
    cursor: Cursor = None,
    accept: Annotated[str, Header(max_length=1000)] = "application/json",
    last_event_id: Annotated[str | None, Header(max_length=100)] = None,
) -> Response | EventPage:
    """What happened, in order. A stream's event ids are event numbers; `Last-Event-ID` goes on after one."""
    run = await replayed(service.ports.log, caller.tenant_id, execution_id)
    if STREAM not in accept:
        return await _page(caller.tenant_id, execution_id, cursor, limit, service)
    after = place_of(last_event_id) if last_event_id else START
    if run.finished and after >= run.seq - 1:
        # tells an EventSource not to come back (WHATWG HTML, section 9.2.5)
        return Response(status_code=204)
    frames = _frames(caller.tenant_id, execution_id, after, service)
    return StreamingResponse(kept_alive(frames), media_type=STREAM, headers=HEADERS)


async def _page(
    tenant_id: str, execution_id: str, cursor: str | None, limit: int, service: Service
) -> EventPage:
    events = await service.ports.log.events(tenant_id, execution_id)
    rows, following = growing_page(events, cursor, limit)
    shown = [EventView(seq=seq, type=event.type, data=event) for seq, event in rows]
    return EventPage(events=shown, next_cursor=following)


async def _frames(tenant_id: str, execution_id: str, after: int, service: Service) -> AsyncGenerator[bytes]:
    async for seq, event in executions.follow(tenant_id, execution_id, after, service):
        yield frame(event_data(event), event.type, seq)
        if _is_last(event):
            return


def _is_last(event: Event) -> bool:
    return isinstance(event, Finished)
