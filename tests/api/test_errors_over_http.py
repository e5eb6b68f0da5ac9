"""One envelope for everything that goes wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from api_server import Running, code_of, running, session, start

NOWHERE = "sess_0000"
NOBODY = "exec_0000"
REF = {
    "tenant_id": "acme",
    "session_id": NOWHERE,
    "doc_id": "doc_0",
    "doc_index": 0,
    "start_char": 0,
    "end_char": 1,
    "checksum": "sha256:00",
}
SPAN = {"session_id": NOWHERE, "doc_id": "doc_0", "start_char": 0, "end_char": 1}
DOC = {"source_name": "a", "raw_s3_uri": "s3://rlm/raw/acme/x/a"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/nothing", None, 404, "NOT_FOUND"),
        ("GET", "/v1/nothing", None, 404, "NOT_FOUND"),
        ("PUT", "/v1/sessions", None, 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/health/live", None, 405, "METHOD_NOT_ALLOWED"),
        ("GET", f"/v1/sessions/{NOWHERE}", None, 404, "SESSION_NOT_FOUND"),
        ("DELETE", f"/v1/sessions/{NOWHERE}", None, 404, "SESSION_NOT_FOUND"),
        ("POST", f"/v1/sessions/{NOWHERE}/executions", {"question": "?"}, 404, "SESSION_NOT_FOUND"),
        ("POST", f"/v1/sessions/{NOWHERE}/executions/runtime", None, 404, "SESSION_NOT_FOUND"),
        ("GET", f"/v1/executions/{NOBODY}", None, 404, "EXECUTION_NOT_FOUND"),
        ("GET", f"/v1/executions/{NOBODY}/steps", None, 404, "EXECUTION_NOT_FOUND"),
        ("GET", f"/v1/executions/{NOBODY}/code", None, 404, "EXECUTION_NOT_FOUND"),
        ("GET", f"/v1/executions/{NOBODY}/events", None, 404, "EXECUTION_NOT_FOUND"),
        ("GET", f"/v1/executions/{NOBODY}/contexts", None, 404, "EXECUTION_NOT_FOUND"),
        ("GET", f"/v1/executions/{NOBODY}/trace", None, 404, "EXECUTION_NOT_FOUND"),
        ("POST", f"/v1/executions/{NOBODY}/wait", {"timeout_seconds": 0}, 404, "EXECUTION_NOT_FOUND"),
        ("POST", f"/v1/executions/{NOBODY}/cancel", None, 404, "EXECUTION_NOT_FOUND"),
        ("POST", f"/v1/executions/{NOBODY}/steps", {"code": "1"}, 404, "EXECUTION_NOT_FOUND"),
        ("POST", f"/v1/executions/{NOBODY}/tools/resolve", {"tool_requests": {}}, 404, "EXECUTION_NOT_FOUND"),
        ("POST", "/v1/spans/get", SPAN, 404, "SESSION_NOT_FOUND"),
        ("POST", "/v1/citations/verify", {"ref": REF}, 404, "SESSION_NOT_FOUND"),
        ("POST", "/v1/sessions", {"docs": [DOC]}, 422, "VALIDATION_ERROR"),
        ("POST", "/v1/sessions", {"ttl_minutes": 0, "docs": [DOC]}, 422, "VALIDATION_ERROR"),
        ("POST", "/v1/sessions", {"ttl_minutes": 1, "docs": [DOC], "more": 1}, 422, "VALIDATION_ERROR"),
        ("POST", "/v1/spans/get", {**SPAN, "start_char": -1}, 422, "VALIDATION_ERROR"),
        ("GET", "/v1/executions?cursor=nonsense", None, 422, "VALIDATION_ERROR"),
        ("GET", "/v1/executions?limit=0", None, 422, "VALIDATION_ERROR"),
        ("GET", "/v1/executions?status=HAPPY", None, 422, "VALIDATION_ERROR"),
        ("POST", "/v1/chat/completions", {"model": "rlm", "messages": []}, 422, "VALIDATION_ERROR"),
    ],
)
def test_every_error_is_an_envelope(
    acme: httpx2.Client, method: str, path: str, body: Any, status: int, code: str
) -> None:
    answered = acme.request(method, path, json=body)
    assert (answered.status_code, code_of(answered)) == (status, code)


def test_a_body_that_is_not_json_is_an_envelope(acme: httpx2.Client) -> None:
    headers = {"Content-Type": "application/json"}
    for content in (b"{", b"\xff\xfe", b"[" * 100_000):
        answered = acme.post("/v1/sessions", content=content, headers=headers)
        assert (answered.status_code, code_of(answered)) == (422, "VALIDATION_ERROR")


def test_what_was_sent_is_not_repeated(acme: httpx2.Client) -> None:
    answered = acme.post("/v1/sessions", json={"ttl_minutes": "a secret word", "docs": []})
    assert code_of(answered) == "VALIDATION_ERROR"
    assert "secret" not in answered.text


@pytest.mark.parametrize("value", [None, "", "Basic x", "Bearer", "Bearer rlm_key_wrong", "Bearer é"])
def test_without_a_good_key_nothing_is_told(server: Running, value: str | None) -> None:
    headers = [] if value is None else [(b"Authorization", value.encode())]
    with httpx2.Client(base_url=server.url, headers=headers) as stranger:
        for path in ("/v1/sessions", "/v1/nothing", "/v1/audit"):
            answered = stranger.get(path)
            assert (answered.status_code, code_of(answered)) == (401, "UNAUTHORIZED")
            assert answered.headers["WWW-Authenticate"] == "Bearer"
        assert stranger.post("/v1/sessions", content=b"{").status_code == 401


def test_a_key_does_only_what_its_scopes_allow(server: Running) -> None:
    with server.client("acme", "read") as reader:
        assert reader.get("/v1/sessions").status_code == 200
        refused = reader.post("/v1/sessions", json={"ttl_minutes": 1, "docs": [DOC]})
        assert (refused.status_code, code_of(refused)) == (403, "FORBIDDEN")
        refused = reader.get("/v1/audit")
        assert (refused.status_code, code_of(refused)) == (403, "FORBIDDEN")
    with server.client("acme", "write") as writer:
        assert writer.get("/v1/sessions").status_code == 403


def test_a_request_id_is_kept_if_it_is_sane(acme: httpx2.Client) -> None:
    mine = acme.get("/health/live", headers={"X-Request-ID": "mine-1"})
    forged = acme.get("/v1/nothing", headers={"X-Request-ID": 'a" b'})
    assert mine.headers["X-Request-ID"] == "mine-1"
    assert forged.headers["X-Request-ID"].startswith("req_")
    assert code_of(forged) == "NOT_FOUND"


def test_a_session_over_anothers_bytes_is_refused(acme: httpx2.Client) -> None:
    for uri in ("s3://rlm/raw/globex/x/a", "s3://rlm/raw/acme/../globex/x/a", "s3://other/raw/acme/x/a"):
        refused = acme.post(
            "/v1/sessions", json={"ttl_minutes": 1, "docs": [{"source_name": "a", "raw_s3_uri": uri}]}
        )
        assert (refused.status_code, code_of(refused)) == (422, "VALIDATION_ERROR")


def test_requests_that_are_too_large_are_cut_off(tmp_path: Path) -> None:
    with (
        running(
            tmp_path, llm_provider="fake", request_size_limit_bytes=2000, upload_size_limit_bytes=4000
        ) as server,
        server.client() as client,
    ):
        body = json.dumps({"question": "x" * 3000}).encode()
        declared = client.post("/v1/sessions/s/executions", content=body)
        streamed = client.post("/v1/sessions/s/executions", content=iter([body]))
        upload = client.post("/v1/uploads", content=iter([b"x" * 3000, b"x" * 3000]))
        form = client.post("/v1/uploads", files={"file": ("a", b"x" * 6000)})
        for answered in (declared, streamed, upload, form):
            assert (answered.status_code, code_of(answered)) == (413, "REQUEST_TOO_LARGE")
        assert client.post("/v1/uploads", content=b"x" * 3000).status_code == 201


def test_too_many_requests_are_told_when_to_come_back(tmp_path: Path) -> None:
    limits = json.dumps({"max_requests": 3, "window_seconds": 60})
    with (
        running(tmp_path, llm_provider="fake", rate_limits_json=limits) as server,
        server.client("acme") as client,
        server.client("globex") as other,
    ):
        answers = [client.get("/v1/sessions") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert code_of(answers[-1]) == "RATE_LIMITED"
        assert int(answers[-1].headers["Retry-After"]) >= 1
        assert other.get("/v1/sessions").status_code == 200


def test_strangers_find_nothing(acme: httpx2.Client, globex: httpx2.Client) -> None:
    session_id = session(acme)
    execution_id = start(acme, session_id)
    view = acme.get(f"/v1/sessions/{session_id}").json()
    span = {"session_id": session_id, "doc_id": view["docs"][0]["doc_id"], "start_char": 0, "end_char": 9}
    ref = acme.post("/v1/spans/get", json=span).json()["ref"]
    gets = [f"/v1/sessions/{session_id}", f"/v1/executions/{execution_id}"]
    gets += [f"{gets[1]}/{name}" for name in ("steps", "code", "events", "contexts", "trace")]
    answers = [globex.get(path) for path in gets]
    answers += [globex.delete(gets[0]), globex.post(f"{gets[1]}/cancel")]
    answers += [
        globex.post(path, json=body)
        for path, body in (
            (f"{gets[0]}/executions", {"question": "?"}),
            (f"{gets[0]}/executions/runtime", {}),
            (f"{gets[1]}/wait", {"timeout_seconds": 0}),
            (f"{gets[1]}/steps", {"code": "1"}),
            (f"{gets[1]}/tools/resolve", {"tool_requests": {}}),
            ("/v1/spans/get", span),
            ("/v1/citations/verify", {"ref": ref}),
            ("/v1/citations/verify", {"ref": {**ref, "tenant_id": "globex"}}),
        )
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert {code_of(answer) for answer in answers} <= {"SESSION_NOT_FOUND", "EXECUTION_NOT_FOUND"}
    assert globex.get("/v1/sessions").json()["sessions"] == []
    assert globex.get("/v1/executions", params={"session_id": session_id}).json()["executions"] == []
    assert acme.get(gets[0]).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/sessions", "GET, POST"),
        ("PATCH", f"/v1/sessions/{NOWHERE}", "GET, DELETE"),
        ("DELETE", f"/v1/executions/{NOBODY}/steps", "GET, POST"),
        ("DELETE", "/v1/uploads", "POST"),
        ("PUT", "/sign-in", "GET, POST"),
    ],
)
def test_a_method_that_is_not_taken_is_told_those_that_are(
    acme: httpx2.Client, method: str, path: str, allowed: str
) -> None:
    answered = acme.request(method, path)
    assert (answered.status_code, code_of(answered)) == (405, "METHOD_NOT_ALLOWED")
    assert answered.headers["Allow"] == answered.json()["error"]["details"]["allow"] == allowed


@pytest.mark.parametrize("path", ["/v1/sessions/", "/v1/executions/", "/v1/uploads/"])
def test_a_path_with_a_slash_too_many_is_not_found(acme: httpx2.Client, path: str) -> None:
    answered = acme.get(path)
    assert (answered.status_code, code_of(answered)) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("change", "told"),
    [({"docs": []}, "docs: name 1 to 10,000 documents"), ({"ttl_minutes": 10**9}, "2635200")],
)
def test_limits_of_a_session_are_said_as_they_are(
    acme: httpx2.Client, change: dict[str, Any], told: str
) -> None:
    answered = acme.post("/v1/sessions", json={"ttl_minutes": 1, "docs": [DOC], **change})
    assert (answered.status_code, code_of(answered)) == (422, "VALIDATION_ERROR")
    assert told in answered.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/sessions", "/mcp"])
def test_behind_a_prefix_the_same_is_guarded(tmp_path: Path, path: str) -> None:
    with running(tmp_path, root_path="/rlm") as server, server.client() as client:
        # the proxy takes the prefix off, and uvicorn puts it on again
        assert httpx2.get(f"{server.url}{path}").status_code == 401
        assert client.get("/v1/sessions").status_code == 200
        assert client.post("/v1/sessions", json={}).status_code == 422
