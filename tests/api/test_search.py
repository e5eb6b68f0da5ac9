"""Search over HTTP: readiness, steps of a client, and removal."""

from __future__ import annotations

import httpx2
import pytest
from api_server import Running, code_of, session, until

TEXTS = {"rent.md": "# Rent\n\nThe rent is due monthly.", "notice.md": "# Notice\n\nSix months' notice."}
OPTIONS = {"enable_search": True, "readiness_mode": "STRICT"}


@pytest.fixture
def searched(acme: httpx2.Client) -> str:
    return session(acme, TEXTS, options=OPTIONS)


def begun(client: httpx2.Client, session_id: str) -> str:
    made = client.post(f"/v1/sessions/{session_id}/executions/runtime")
    return f"/v1/executions/{made.json()['execution_id']}"


def test_a_strict_session_is_ready_with_its_index(acme: httpx2.Client, searched: str) -> None:
    found = acme.get(f"/v1/sessions/{searched}").json()
    assert found["readiness"] == {"parsed_ready": True, "search_ready": True, "ready": True}
    assert {doc["ingest_status"] for doc in found["docs"]} == {"INDEXED"}
    assert found["options"] == OPTIONS


def test_a_clients_steps_search_by_call_and_by_queue(acme: httpx2.Client, searched: str) -> None:
    place = begun(acme, searched)
    step = acme.post(
        f"{place}/steps", json={"code": "print(context.search('NOTICE')[0]['doc_index'])"}
    ).json()
    assert (step["stdout"].strip(), step["error"]) == ("1", None)
    requests = {"search": [{"key": "s", "query": "rent", "k": 3}]}
    done = acme.post(f"{place}/tools/resolve", json={"tool_requests": requests}).json()
    assert done["statuses"] == {"s": "resolved"}
    (hit,) = done["tool_results"]["search"]["s"]["hits"]
    assert set(hit) == {"score", "doc_index", "start_char", "end_char", "preview"}
    assert (hit["doc_index"], "rent is due" in hit["preview"]) == (0, True)
    read = {"code": "print(state['_tool_results']['search']['s']['hits'][0]['doc_index'])"}
    assert acme.post(f"{place}/steps", json=read).json()["stdout"].strip() == "0"
    asked = [e for e in acme.get(f"{place}/code").json()["entries"] if e["kind"] == "TOOL_REQUEST"]
    assert (asked[0]["content"]["prompt"], asked[0]["content"]["k"]) == ("NOTICE", 10)
    assert asked[0]["content"]["filters"] is None


def test_a_session_without_search_says_so_to_its_steps(acme: httpx2.Client) -> None:
    place = begun(acme, session(acme, TEXTS))
    step = acme.post(f"{place}/steps", json={"code": "context.search('rent')"}).json()
    assert "context.find" in step["error"]["message"]
    requests = {"search": [{"key": "s", "query": "rent"}]}
    done = acme.post(f"{place}/tools/resolve", json={"tool_requests": requests}).json()
    assert done["statuses"] == {"s": "error"}
    assert done["tool_results"]["search"]["s"]["meta"]["error"]["code"] == "SEARCH_NOT_ENABLED"


def test_a_deleted_session_leaves_no_index(server: Running, acme: httpx2.Client, searched: str) -> None:
    blobs, prefix = server.wiring.ports.blobs, f"s3://rlm/parsed/acme/{searched}/"
    assert any("/search/" in uri for uri in server.wait(blobs.list(prefix)))
    assert acme.delete(f"/v1/sessions/{searched}").json()["status"] == "DELETING"
    until(lambda: acme.get(f"/v1/sessions/{searched}").status_code == 404)
    until(lambda: server.wait(blobs.list(prefix)) == [])
    gone = acme.get(f"/v1/sessions/{searched}")
    assert code_of(gone) == "SESSION_NOT_FOUND"
