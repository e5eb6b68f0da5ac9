"""Two tenants who know each other's ids and URIs find nothing with them, on any route."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from api_server import LEASE, Running, code_of, ended, session, start, upload

from rlm_rs.api.app import create_app

NOT_FOUND = {"SESSION_NOT_FOUND", "EXECUTION_NOT_FOUND", "DOCUMENT_NOT_FOUND"}
SECRET = "first anniversary"
assert SECRET in LEASE


@dataclass(frozen=True)
class Holdings:
    """What a tenant has, by the names that routes use."""

    client: httpx2.Client
    session_id: str
    execution_id: str
    runtime_id: str
    doc_id: str
    uri: str
    ref: dict[str, Any]


@dataclass(frozen=True)
class Attempt:
    """One request with somebody else's ids."""

    method: str
    path: str
    body: dict[str, Any] | None = None


@pytest.fixture(scope="module")
def tenants(server: Running) -> Iterator[tuple[Holdings, Holdings]]:
    with server.client("red") as red, server.client("blue") as blue:
        yield holdings(red), holdings(blue)


def holdings(client: httpx2.Client) -> Holdings:
    session_id = session(client)
    execution_id = start(client, session_id)
    ended(client, execution_id)
    doc_id = client.get(f"/v1/sessions/{session_id}").json()["docs"][0]["doc_id"]
    span = {"session_id": session_id, "doc_id": doc_id, "start_char": 0, "end_char": 20}
    return Holdings(
        client,
        session_id,
        execution_id,
        client.post(f"/v1/sessions/{session_id}/executions/runtime").json()["execution_id"],
        doc_id,
        upload(client),
        client.post("/v1/spans/get", json=span).json()["ref"],
    )


def attempts(theirs: Holdings) -> list[Attempt]:
    """Every route that names an id in its path, with a body that is right."""
    bodies: dict[str, dict[str, Any]] = {
        "/v1/sessions/{session_id}/executions": {"question": "What?"},
        "/v1/executions/{execution_id}/wait": {"timeout_seconds": 0},
        "/v1/executions/{execution_id}/steps": {"code": "print(context[0][:])"},
        "/v1/executions/{execution_id}/tools/resolve": {"tool_requests": {}},
    }
    ids = [
        {"session_id": theirs.session_id, "execution_id": execution_id, "doc_id": theirs.doc_id}
        for execution_id in (theirs.execution_id, theirs.runtime_id)
    ]
    routes = [
        (method.upper(), path)
        for path, methods in create_app().openapi()["paths"].items()
        for method in methods
        if "{" in path
    ]
    assert len(routes) >= 14
    return [
        Attempt(method, path.format_map(known), bodies.get(path, {}) if method == "POST" else None)
        for method, path in routes
        for known in ids
    ]


def attempts_in_bodies(theirs: Holdings, own: Holdings) -> list[Attempt]:
    """Ids of the other tenant where a body takes one, mixed with one's own."""
    span = {"start_char": 0, "end_char": 20}
    asked = f"/v1/sessions/{own.session_id}/executions"
    return [
        Attempt("POST", "/v1/spans/get", {**span, "session_id": theirs.session_id, "doc_id": theirs.doc_id}),
        Attempt("POST", "/v1/spans/get", {**span, "session_id": own.session_id, "doc_id": theirs.doc_id}),
        Attempt("POST", "/v1/spans/get", {**span, "session_id": theirs.session_id, "doc_id": own.doc_id}),
        Attempt("POST", "/v1/citations/verify", {"ref": theirs.ref}),
        Attempt("POST", "/v1/citations/verify", {"ref": {**theirs.ref, "tenant_id": own.ref["tenant_id"]}}),
        Attempt("POST", asked, {"question": "And?", "continue_from": theirs.execution_id}),
    ]


def test_no_route_finds_what_is_another_tenants(tenants: tuple[Holdings, Holdings]) -> None:
    red, blue = tenants
    tried = [(blue, attempt) for attempt in (*attempts(red), *attempts_in_bodies(red, blue))]
    tried += [(red, attempt) for attempt in (*attempts(blue), *attempts_in_bodies(blue, red))]

    def answer(pair: tuple[Holdings, Attempt]) -> tuple[Attempt, httpx2.Response]:
        who, attempt = pair
        done = who.client.request(attempt.method, attempt.path, json=attempt.body)
        return attempt, done

    # all of them at once and again, so that no timing opens what order keeps shut
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(answer, tried * 2))
    wrong = [
        (attempt, response.status_code, response.text)
        for attempt, response in answers
        if response.status_code != 404 or code_of(response) not in NOT_FOUND
    ]
    assert wrong == []
    assert not [response for _, response in answers if SECRET in response.text]
    for own in tenants:
        assert own.client.get(f"/v1/sessions/{own.session_id}").json()["status"] == "READY"
        assert own.client.get(f"/v1/executions/{own.runtime_id}").json()["status"] == "RUNNING"


def test_an_id_that_is_anothers_and_one_that_is_nobodys_are_answered_alike(
    tenants: tuple[Holdings, Holdings],
) -> None:
    red, blue = tenants
    for theirs, invented in ((red.session_id, "sess_0"), (red.execution_id, "exec_0")):
        kind = "sessions" if theirs.startswith("sess") else "executions"
        told = [blue.client.get(f"/v1/{kind}/{one}") for one in (theirs, invented)]
        assert alike(told[0], theirs) == alike(told[1], invented)


def test_an_uri_that_is_anothers_and_one_that_is_nobodys_are_refused_alike(
    tenants: tuple[Holdings, Holdings],
) -> None:
    red, blue = tenants
    session_view = red.client.get(f"/v1/sessions/{red.session_id}").json()
    uris = [red.uri, session_view["docs"][0]["text_s3_uri"], "s3://rlm/raw/red/0/lease.md"]
    told = [created(blue.client, uri) for uri in uris]
    assert {(done.status_code, code_of(done)) for done in told} == {(422, "VALIDATION_ERROR")}
    assert len({alike(done, uri) for done, uri in zip(told, uris, strict=True)}) == 1


def created(client: httpx2.Client, uri: str) -> httpx2.Response:
    docs = [{"source_name": "lease.md", "mime_type": "text/markdown", "raw_s3_uri": uri}]
    return client.post("/v1/sessions", json={"ttl_minutes": 5, "docs": docs})


def alike(response: httpx2.Response, named: str) -> str:
    """The body with what was asked for and the request's id left out."""
    return re.sub(r"req_\w+", "req", response.text.replace(named, "it"))


def test_lists_keys_and_audit_hold_only_ones_own(tenants: tuple[Holdings, Holdings]) -> None:
    red, blue = tenants
    page = blue.client.get("/v1/executions", params={"session_id": red.session_id}).json()
    assert page["executions"] == []
    for path in ("/v1/sessions", "/v1/executions", "/v1/audit"):
        told = blue.client.get(path, params={"limit": 1000}).text
        own = blue.client.get(path, params={"limit": 1000}).json()
        assert len(next(iter(own.values()))) > 0
        if path != "/v1/audit":
            # an audit log names what was asked for, also in vain
            assert red.session_id not in told
            assert red.execution_id not in told
    headers = {"Idempotency-Key": "shared"}
    made = [
        own.client.post(
            f"/v1/sessions/{own.session_id}/executions", json={"question": "Once?"}, headers=headers
        ).json()["execution_id"]
        for own in tenants
    ]
    assert made[0] != made[1]
