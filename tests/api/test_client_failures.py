"""What the client does when the server is away, busy, or not one of ours."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from email.utils import formatdate

import pytest
from scripted_http import Asked, Reply, events, refused, said, scripted

from rlm_rs import AsyncClient, Client
from rlm_rs.client.transport import server_url
from rlm_rs.core import errors
from rlm_rs.core.execution import CancelRequested, Event, Finished
from rlm_rs.core.records import ExecutionStatus
from rlm_rs.orchestrator.event_log import event_data

STARTED = {"execution_id": "exec_1", "status": "RUNNING"}
DROPPED = Reply(dropped=True)


def begun(replies: Sequence[Reply], **options: int) -> list[Asked]:
    """The requests that one creation takes."""
    with scripted(replies) as (url, asked), Client(url, "k", **options) as client:  # type: ignore[arg-type]
        assert client.start_execution("sess_1", "Why?").execution_id == "exec_1"
    return asked


@pytest.mark.parametrize(
    "first",
    [
        DROPPED,
        refused(429, "RATE_LIMITED", headers={"Retry-After": "0"}),
        refused(429, "RATE_LIMITED", headers={"Retry-After": formatdate(time.time() - 5, usegmt=True)}),
        refused(409, "REQUEST_UNDER_WAY"),
        Reply(502, b"<html>bad gateway</html>"),
    ],
    ids=["dropped", "rate", "rate with a date", "under way", "proxy"],
)
def test_a_creation_is_repeated_under_its_key(first: Reply) -> None:
    asked = begun([first, said(STARTED)])
    assert len({request.headers["Idempotency-Key"] for request in asked}) == 1
    assert [request.body for request in asked] == [asked[0].body] * 2


def test_what_the_server_refuses_for_good_is_not_repeated() -> None:
    for status, code in ((422, "VALIDATION_ERROR"), (500, "INTERNAL_ERROR"), (502, "LLM_PROVIDER_ERROR")):
        with scripted([refused(status, code, "no good")]) as (url, asked), Client(url, "k") as client:
            with pytest.raises(errors.RlmError, match="no good") as raised:
                client.get_session("s")
            assert (raised.value.code, len(asked)) == (code, 1)


def test_a_step_that_may_have_arrived_is_not_sent_twice() -> None:
    with scripted([DROPPED]) as (url, asked), Client(url, "k") as client:
        with pytest.raises(errors.ServerUnreachable):
            client.step("exec_1", "x = 1")
        assert len(asked) == 1


def test_repeats_end() -> None:
    with scripted([DROPPED]) as (url, asked), Client(url, "k", max_retries=2) as client:
        with pytest.raises(errors.ServerUnreachable):
            client.get_session("s")
        assert len(asked) == 3


def test_a_pause_of_an_hour_is_left_to_the_caller() -> None:
    busy = refused(429, "RATE_LIMITED", headers={"Retry-After": "3600"})
    with scripted([busy]) as (url, asked), Client(url, "k") as client:
        with pytest.raises(errors.RateLimited):
            client.get_session("s")
        assert len(asked) == 1


def test_nothing_that_listens_is_one_line_that_says_where() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with Client(url, "k", max_retries=1) as client, pytest.raises(errors.ServerUnreachable) as raised:
        client.get_session("s")
    assert url in raised.value.message


NOT_OURS = [Reply(200, b"hello"), said({"other": 1}), Reply(404, b"not here"), said([])]


@pytest.mark.parametrize("reply", NOT_OURS, ids=["text", "other fields", "no reason", "a list"])
def test_a_server_that_is_not_ours_is_said_to_be_none(reply: Reply) -> None:
    told = pytest.raises(errors.ServerUnreadable, match="Is it an RLM-RS server")
    with scripted([reply]) as (url, _), Client(url, "k") as client, told:
        client.get_session("s")


def test_a_code_that_is_not_known_here_keeps_its_words() -> None:
    with scripted([refused(418, "TEAPOT", "short and stout")]) as (url, _), Client(url, "k") as client:
        with pytest.raises(errors.RlmError, match="short and stout") as raised:
            client.get_session("s")
        assert raised.value.details["code"] == "TEAPOT"


def frame(number: int, event: Event) -> str:
    return f"id: {number}\nevent: {event.type}\ndata: {json.dumps(event_data(event), ensure_ascii=False)}\n\n"


ASKED_TO_STOP = frame(0, CancelRequested(reason="a line\u2028break"))
ENDED = frame(1, Finished(status=ExecutionStatus.CANCELLED))


async def test_a_stream_that_breaks_is_taken_up_where_it_was() -> None:
    replies = [events(": heartbeat\n\n", ASKED_TO_STOP, dropped=True), DROPPED, events(ENDED)]
    with scripted(replies) as (url, asked):
        async with AsyncClient(url, "k") as client:
            found = [(number, event) async for number, event in client.follow("exec_1")]
    assert [number for number, _ in found] == [0, 1]
    assert isinstance(found[0][1], CancelRequested)
    assert found[0][1].reason == "a line\u2028break"
    assert [request.headers.get("Last-Event-ID") for request in asked] == [None, "0", "0"]


async def test_a_stream_with_nothing_more_to_send_has_ended() -> None:
    with scripted([events(ASKED_TO_STOP), Reply(204)]) as (url, _):
        async with AsyncClient(url, "k") as client:
            assert [number async for number, _ in client.follow("exec_1")] == [0]


async def test_an_event_that_is_not_known_is_not_passed_over() -> None:
    with scripted([events('id: 0\nevent: Dreamt\ndata: {"type": "Dreamt"}\n\n')]) as (url, asked):
        async with AsyncClient(url, "k") as client:
            with pytest.raises(errors.ServerUnreadable, match="Dreamt"):
                [event async for event in client.follow("exec_1")]
    assert len(asked) == 1


@pytest.mark.parametrize("text", ["", "rlm.example.com", "ftp://rlm.example.com", "http://", "http://a:b"])
def test_what_is_no_url_is_said_to_be_none(text: str) -> None:
    with pytest.raises(errors.ValidationFailed, match="give a URL"):
        server_url(text)
