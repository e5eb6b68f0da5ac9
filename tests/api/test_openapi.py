"""The API keeps to its own description, whatever it is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from api_server import Running, ended, running, session
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rlm_rs.api.app import create_app
from rlm_rs.api.examples import examples, operations

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
SCHEMA = schemathesis.openapi.from_dict(create_app().openapi())
CHAT = "/v1/chat/completions"


@SCHEMA.parametrize()
@settings(
    max_examples=5,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
def test_no_request_breaks_the_api(
    case: schemathesis.Case[Any], server: Running, acme: httpx2.Client
) -> None:
    headers = {"Authorization": acme.headers["Authorization"]}
    case.call_and_validate(base_url=server.url, headers=headers, checks=list(CHECKS))


@pytest.mark.parametrize("change", [{}, {"stream": True}, {"messages": []}, {"n": 0}, {"model": ""}])
def test_a_chat_is_answered_as_described(
    change: dict[str, Any], server: Running, acme: httpx2.Client
) -> None:
    body = {**examples()[f"POST {CHAT}"]["request"], **change}
    headers = {"Authorization": acme.headers["Authorization"]}
    case = SCHEMA[CHAT]["POST"].Case(body=body, headers=headers, media_type="application/json")
    case.call_and_validate(base_url=server.url, checks=list(CHECKS))


def test_the_headers_that_are_described_are_sent(tmp_path: Path) -> None:
    limits = '{"max_requests": 40, "window_seconds": 600}'
    with running(tmp_path, llm_provider="fake", rate_limits_json=limits) as server, server.client() as client:
        place = f"/v1/sessions/{session(client)}/executions"
        asked = {"json": {"question": "How can it end?"}, "headers": {"Idempotency-Key": "once"}}
        begun = client.post(place, **asked)
        replayed = client.post(place, **asked)
        ended(client, begun.json()["execution_id"])
        found = client.get(begun.headers["Location"])
        known = {"If-None-Match": found.headers["ETag"]}
        sent = {
            ("POST /v1/sessions/{session_id}/executions", "202"): replayed,
            ("GET /v1/executions/{execution_id}", "200"): found,
            ("GET /v1/executions/{execution_id}", "304"): client.get(found.request.url.path, headers=known),
            ("GET /v1/sessions", "401"): httpx2.get(f"{server.url}/v1/sessions"),
            ("GET /v1/sessions", "429"): refused(client),
        }
    described = dict(operations(create_app().openapi()))
    for (name, status), response in sent.items():
        headers = described[name]["responses"][status]["headers"]
        assert str(response.status_code) == status
        assert [header for header in headers if header not in response.headers] == []


def refused(client: httpx2.Client) -> httpx2.Response:
    """The first response that says to come back later."""
    responses = (client.get("/v1/sessions") for _ in range(60))
    return next(response for response in responses if response.status_code == 429)


def test_every_route_says_what_it_is() -> None:
    for path, methods in create_app().openapi()["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), f"{method} {path}"
            assert "422" in operation["responses"], f"{method} {path}"


@pytest.mark.parametrize(
    ("operation", "statuses"),
    [
        ("post /v1/sessions", {"404", "409", "410"}),
        ("post /v1/executions/{execution_id}/steps", {"400", "404", "409", "410", "502", "503"}),
        ("post /v1/executions/{execution_id}/tools/resolve", {"400", "404", "409", "410", "502"}),
        ("post /v1/executions/{execution_id}/cancel", {"400", "404", "409", "502"}),
        ("get /v1/executions/{execution_id}/trace", {"400", "404", "502"}),
        ("get /v1/sessions", {"503"}),
    ],
)
def test_statuses_that_no_example_reaches_are_described(operation: str, statuses: set[str]) -> None:
    method, path = operation.split(" ")
    assert statuses <= set(create_app().openapi()["paths"][path][method]["responses"])
