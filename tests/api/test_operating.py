"""What operators look at, and clients that leave."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from api_server import LEASE, Running, code_of, ended, running, session, start, until

from rlm_rs.testing.models import ScriptedModel


def test_metrics_hold_routes_and_work_but_no_ids(server: Running, acme: httpx2.Client) -> None:
    execution_id = start(acme, session(acme))
    ended(acme, execution_id)
    told = httpx2.get(f"{server.url}/metrics").text
    assert (
        'rlm_api_requests_total{endpoint="/v1/executions/{execution_id}/wait",method="POST",status="200"}'
        in told
    )
    assert 'rlm_queue_depth{kind="execution"} 0.0' in told
    assert 'rlm_executions_total{status="COMPLETED"}' in told
    assert 'rlm_step_seconds_count{outcome="ok"}' in told
    assert execution_id not in told
    assert "acme" not in told


def test_metrics_can_be_turned_off(tmp_path: Path) -> None:
    with running(tmp_path, llm_provider="fake", enable_metrics=False) as server:
        refused = httpx2.get(f"{server.url}/metrics")
        assert (refused.status_code, code_of(refused)) == (404, "NOT_FOUND")


def test_ready_names_what_works_and_what_does_not(server: Running, tmp_path: Path) -> None:
    well = httpx2.get(f"{server.url}/health/ready").json()
    assert well["status"] == "ok"
    assert {"storage", "parser", "sandbox", "models"} <= well["checks"].keys()
    with running(tmp_path, llm_provider="fake", default_root_model="gpt-5") as broken:
        answered = httpx2.get(f"{broken.url}/health/ready")
        assert (answered.status_code, code_of(answered)) == (503, "NOT_READY")
        assert list(answered.json()["error"]["details"]["failed"]) == ["models"]
        assert httpx2.get(f"{broken.url}/health/live").json() == {"status": "ok"}


def test_ready_says_that_the_parser_service_is_away(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        away = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with running(tmp_path, llm_provider="fake", parser_service_url=away) as server:
        answered = httpx2.get(f"{server.url}/health/ready")
        assert (answered.status_code, code_of(answered)) == (503, "NOT_READY")
        failed = answered.json()["error"]["details"]["failed"]
        assert list(failed) == ["parser"]
        assert away in failed["parser"]


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_reference_pages_need_no_other_site(server: Running, page: str) -> None:
    shown = httpx2.get(f"{server.url}{page}")
    needed = re.findall(r'(?:src|href)="([^"]+)"', shown.text)
    assert any(place.endswith(".js") for place in needed)
    statuses = {place: httpx2.get(f"{server.url}{place}").status_code for place in needed}
    assert set(statuses.values()) == {200}, statuses
    assert "://" not in shown.text


def test_a_client_that_leaves_in_the_middle_of_an_upload_is_no_error(
    server: Running, acme: httpx2.Client
) -> None:
    place = urlsplit(server.url)
    head = (
        f"POST /v1/uploads HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 100000\r\n"
        f"Authorization: {acme.headers['Authorization']}\r\n\r\nsome of it"
    )
    with socket.create_connection((place.hostname or "", place.port or 0)) as client:
        client.sendall(head.encode())
    wanted = 'rlm_api_requests_total{endpoint="/v1/uploads",method="POST",status="499"} 1.0'
    until(lambda: wanted in httpx2.get(f"{server.url}/metrics").text)


def test_a_chat_whose_client_leaves_is_cancelled(tmp_path: Path) -> None:
    slow = ScriptedModel(["```repl\nFINAL('late')\n```"], latency=60)
    with running(tmp_path, slow) as server, server.client() as client:
        body = {"model": "rlm", "stream": True, "messages": [{"role": "user", "content": LEASE}]}
        with client.stream("POST", "/v1/chat/completions", json=body) as stream:
            assert next(stream.iter_lines()).startswith("data: ")

        def statuses() -> list[str]:
            return [row["status"] for row in client.get("/v1/executions").json()["executions"]]

        until(lambda: statuses() == ["CANCELLED"])
