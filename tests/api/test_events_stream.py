"""Events as a stream: replayed, followed, gone on with; and as pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
from api_server import ended, running, session, start

from rlm_rs.testing.models import ScriptedModel

STREAM = {"Accept": "text/event-stream"}


def streamed(client: httpx2.Client, execution_id: str, **headers: str) -> list[tuple[int, str, Any]]:
    """Number, type and data of each event until the stream ends."""
    found = []
    with client.stream(
        "GET", f"/v1/executions/{execution_id}/events", headers={**STREAM, **headers}
    ) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        number = kind = ""
        for line in stream.iter_lines():
            if line.startswith("id: "):
                number = line[4:]
            elif line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: "):
                found.append((int(number), kind, json.loads(line[6:])))
    return found


def test_a_stream_follows_from_the_start_to_the_end(acme: httpx2.Client) -> None:
    execution_id = start(acme, session(acme))
    followed = streamed(acme, execution_id)
    assert [number for number, _, _ in followed] == list(range(len(followed)))
    assert followed[0][1] == "Started"
    assert followed[-1][1] == "Finished"
    assert [kind for _, kind, _ in followed] == [data["type"] for _, _, data in followed]
    assert streamed(acme, execution_id) == followed
    assert streamed(acme, execution_id, **{"Last-Event-ID": "1"}) == followed[2:]
    headers = {**STREAM, "Last-Event-ID": str(followed[-1][0])}
    assert acme.get(f"/v1/executions/{execution_id}/events", headers=headers).status_code == 204


def test_pages_hold_the_same_and_go_on(acme: httpx2.Client) -> None:
    execution_id = start(acme, session(acme))
    ended(acme, execution_id)
    path, found, cursor = f"/v1/executions/{execution_id}/events", [], None
    while page := acme.get(path, params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json():
        if not page["events"]:
            break
        found += [(event["seq"], event["type"], event["data"]) for event in page["events"]]
        cursor = page["next_cursor"]
    assert found == streamed(acme, execution_id)


def test_cancel_interrupts_and_the_stream_ends(tmp_path: Path) -> None:
    slow = ScriptedModel(["```repl\nFINAL('late')\n```"], latency=60)
    with running(tmp_path, slow) as server, server.client() as client:
        execution_id = start(client, session(client))
        with client.stream("GET", f"/v1/executions/{execution_id}/events", headers=STREAM) as stream:
            lines = stream.iter_lines()
            assert next(lines) == "id: 0"
            first = client.post(f"/v1/executions/{execution_id}/cancel")
            again = client.post(f"/v1/executions/{execution_id}/cancel")
            assert any(line == "event: Finished" for line in lines)
        assert first.status_code == again.status_code == 200
        assert ended(client, execution_id)["status"] == "CANCELLED"
