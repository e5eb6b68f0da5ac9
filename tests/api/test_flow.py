"""The README's manual flow, over a socket."""

from __future__ import annotations

import hashlib
import unicodedata
from datetime import datetime, timedelta

import httpx2
from api_server import LEASE, ended, session, start, until, upload


def test_from_upload_to_a_checked_citation(acme: httpx2.Client) -> None:
    uri = upload(acme)
    doc = {"source_name": "lease.md", "mime_type": "text/markdown", "raw_s3_uri": uri}
    made = acme.post(
        "/v1/sessions", json={"ttl_minutes": 60, "docs": [doc], "options": {"enable_search": False}}
    )
    assert made.status_code == 202
    body = made.json()
    assert made.headers["Location"] == f"/v1/sessions/{body['session_id']}"
    assert body["docs"][0]["doc_index"] == 0
    created, expires = (datetime.fromisoformat(body[name]) for name in ("created_at", "expires_at"))
    assert (expires - created).total_seconds() == 3600
    assert created.utcoffset() == timedelta(0)
    place = made.headers["Location"]
    until(lambda: acme.get(place).json()["readiness"]["ready"])
    found = acme.get(place).json()
    assert (found["status"], found["docs"][0]["ingest_status"]) == ("READY", "PARSED")
    assert found["docs"][0]["text_s3_uri"].startswith("s3://")

    started = acme.post(f"{place}/executions", json={"question": "How can the lease be ended?"})
    assert started.status_code == 202
    execution_id = started.json()["execution_id"]
    assert started.headers["Location"] == f"/v1/executions/{execution_id}"
    done = ended(acme, execution_id)
    assert done["status"] == "COMPLETED"
    assert "six months" in done["answer"]
    citation = done["citations"][0]
    names = ("tenant_id", "session_id", "doc_id", "doc_index", "start_char", "end_char", "checksum")
    ref = {name: citation[name] for name in names}
    checked = acme.post("/v1/citations/verify", json={"ref": ref}).json()
    assert checked["valid"] is True
    assert acme.post("/v1/citations/verify", json={"ref": citation}).json() == checked
    text = unicodedata.normalize("NFC", checked["text"])
    assert citation["checksum"] == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    forged = {**ref, "end_char": ref["end_char"] - 1}
    assert acme.post("/v1/citations/verify", json={"ref": forged}).json()["valid"] is False


def test_a_document_that_is_not_the_one_named_is_failed(acme: httpx2.Client) -> None:
    named = {"source_name": "a.md", "raw_s3_uri": upload(acme)}
    etag = hashlib.md5(LEASE.encode(), usedforsecurity=False).hexdigest()
    marks = ({"raw_s3_etag": etag}, {"raw_s3_etag": "0" * 32}, {"raw_s3_version_id": "1"})
    docs = [{**named, **mark} for mark in marks]
    made = acme.post("/v1/sessions", json={"ttl_minutes": 60, "docs": docs})
    place = f"/v1/sessions/{made.json()['session_id']}"
    until(lambda: acme.get(place).json()["status"] == "READY")
    found = acme.get(place).json()["docs"]
    assert [doc["failure_code"] for doc in found] == [None, "SOURCE_CHANGED", "SOURCE_CHANGED"]
    assert named["raw_s3_uri"] in found[1]["failure_reason"]
    wrong = {**named, "raw_s3_etag": "with a space"}
    assert acme.post("/v1/sessions", json={"ttl_minutes": 60, "docs": [wrong]}).status_code == 422


def test_a_form_uploads_too(acme: httpx2.Client) -> None:
    done = acme.post("/v1/uploads", files={"file": ("a b.md", LEASE.encode(), "text/markdown")})
    assert done.status_code == 201
    assert done.json()["byte_length"] == len(LEASE.encode())
    assert done.json()["checksum"] == f"sha256:{hashlib.sha256(LEASE.encode()).hexdigest()}"


def test_a_synchronous_execution_comes_back_ended(acme: httpx2.Client) -> None:
    options = {"synchronous": True, "synchronous_timeout_seconds": 30}
    asked = {"question": "How can the lease be ended?", "options": options}
    done = acme.post(f"/v1/sessions/{session(acme)}/executions", json=asked)
    assert done.status_code == 202
    assert done.json()["status"] == "COMPLETED"


def test_null_is_as_good_as_left_out(acme: httpx2.Client) -> None:
    nothing = {"options": None, "models": None, "budgets": None}
    session_id = session(acme, options=None, models_default=None, budgets_default={"max_turns": None})
    assert acme.get(f"/v1/sessions/{session_id}").json()["options"]["readiness_mode"] == "LAX"
    start(acme, session_id, **nothing, continue_from=None)
    place = f"/v1/sessions/{session_id}/executions"
    assert acme.post(place, json={"question": None, **nothing}).status_code == 422
    assert acme.post(place, json={"question": "What?", "more": None}).status_code == 422
    begun = acme.post(f"{place}/runtime", json={**nothing, "options": {"return_trace": None}})
    assert begun.status_code == 201
    steps = f"/v1/executions/{begun.json()['execution_id']}/steps"
    assert acme.post(steps, json={"code": "1", "state": None, "options": None}).json()["success"] is True


def test_contexts_are_the_result_in_contexts_mode(acme: httpx2.Client) -> None:
    asked = {"options": {"output_mode": "CONTEXTS"}}
    execution_id = start(acme, session(acme), "How can the lease be ended?", **asked)
    done = ended(acme, execution_id)
    found = acme.get(f"/v1/executions/{execution_id}/contexts").json()["contexts"]
    assert (done["answer"], done["contexts_s3_uri"]) == (None, None)
    assert found == done["contexts"]
    assert LEASE[found[0]["ref"]["start_char"] : found[0]["ref"]["end_char"]] == found[0]["text"]


def test_spans_are_cut_at_the_end_of_the_text_in_the_reference_too(acme: httpx2.Client) -> None:
    session_id = session(acme)
    doc_id = acme.get(f"/v1/sessions/{session_id}").json()["docs"][0]["doc_id"]
    wanted = {"session_id": session_id, "doc_id": doc_id, "start_char": 5, "end_char": 10**6}
    got = acme.post("/v1/spans/get", json=wanted).json()
    assert got["text"] == LEASE[5:]
    assert got["ref"]["end_char"] == len(LEASE)
    assert acme.post("/v1/citations/verify", json={"ref": got["ref"]}).json()["valid"] is True


def test_an_unchanged_execution_is_not_sent_again(acme: httpx2.Client) -> None:
    execution_id = start(acme, session(acme))
    ended(acme, execution_id)
    first = acme.get(f"/v1/executions/{execution_id}")
    again = acme.get(
        f"/v1/executions/{execution_id}", headers={"If-None-Match": f"W/{first.headers['ETag']}"}
    )
    other = acme.get(f"/v1/executions/{execution_id}", headers={"If-None-Match": '"0"'})
    assert (again.status_code, again.content, other.status_code) == (304, b"", 200)


def test_what_was_done_can_be_read(acme: httpx2.Client) -> None:
    execution_id = start(acme, session(acme))
    ended(acme, execution_id)
    steps = acme.get(f"/v1/executions/{execution_id}/steps").json()["steps"]
    assert steps[-1]["final"]["is_final"] is True
    assert steps[0]["span_log"]
    assert {"root_call_ms", "sandbox_ms"} <= set(steps[0]["timings"])
    assert all(value >= 0 for value in steps[0]["timings"].values())
    code = acme.get(f"/v1/executions/{execution_id}/code").json()
    assert [entry["sequence"] for entry in code["entries"]] == list(range(len(code["entries"])))
    assert code["entries"][0]["kind"] == "REPL"
    assert acme.get(f"/v1/executions/{execution_id}/code", params={"cursor": code["next_cursor"]}).json() == {
        "entries": [],
        "next_cursor": code["next_cursor"],
    }
    trace = acme.get(f"/v1/executions/{execution_id}/trace").json()
    assert trace["schema_version"] == "rlm_trace_v1"
    assert trace["turns"][0]["repl_code"] == code["entries"][0]["content"]
    hidden = acme.get(f"/v1/executions/{execution_id}/trace", params={"redact": True}).text
    assert "lease" not in hidden
    assert "six months" not in hidden


def test_a_deleted_session_is_gone_with_its_executions(acme: httpx2.Client) -> None:
    session_id = session(acme)
    execution_id = start(acme, session_id)
    ended(acme, execution_id)
    assert acme.delete(f"/v1/sessions/{session_id}").json() == {"status": "DELETING"}
    until(lambda: acme.get(f"/v1/sessions/{session_id}").status_code == 404)
    assert acme.get(f"/v1/executions/{execution_id}").status_code == 404
