"""The service on the AWS profile: two API processes and three workers that share nothing but the account."""

from __future__ import annotations

import asyncio
import hashlib
import unicodedata
from collections.abc import Iterator
from uuid import uuid4

import pytest
from aws_service import Api, Programs, programs, until

from rlm_rs.storage.aws.account import Account
from rlm_rs.storage.aws.provision import provision
from rlm_rs.testing.aws_emulator import AwsEmulator

LEASE = (
    "This lease runs for three years. The Tenant may end this lease for convenience at any time after the "
    "first anniversary by giving six months' written notice.\n"
)
WORKERS = 3


@pytest.fixture(scope="module")
def service(
    emulator: AwsEmulator, account: Account, bucket: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Programs]:
    """Tables, and three workers."""
    prefix, folder = f"s{uuid4().hex[:10]}", tmp_path_factory.mktemp("service")
    asyncio.run(provision(account, prefix, bucket))
    with programs(folder, emulator.endpoint, prefix, bucket, LLM_PROVIDER="fake") as made:
        for _ in range(WORKERS):
            made.worker()
        yield made


@pytest.fixture(scope="module")
def apis(service: Programs) -> tuple[Api, Api]:
    key = service.key()
    first, second = service.api(key), service.api(key)
    return first.until_ready(), second.until_ready()


def test_from_upload_to_a_checked_citation(apis: tuple[Api, Api]) -> None:
    one, two = apis
    session_id = one.session(LEASE)
    asked = {"question": "How can the lease be ended?"}
    started = two.post(f"/v1/sessions/{session_id}/executions", 202, json=asked)
    place = f"/v1/executions/{started['execution_id']}"
    done = one.post(f"{place}/wait", json={"timeout_seconds": 60})
    assert done["status"] == "COMPLETED"
    assert "six months" in done["answer"]
    names = ("tenant_id", "session_id", "doc_id", "doc_index", "start_char", "end_char", "checksum")
    ref = {name: done["citations"][0][name] for name in names}
    checked = two.post("/v1/citations/verify", json={"ref": ref})
    assert checked["valid"] is True
    text = unicodedata.normalize("NFC", checked["text"])
    assert ref["checksum"] == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    forged = {**ref, "end_char": ref["end_char"] - 1}
    assert two.post("/v1/citations/verify", json={"ref": forged})["valid"] is False
    listed = two.get("/v1/executions?status=COMPLETED&mode=ANSWERER")["executions"]
    assert started["execution_id"] in {row["execution_id"] for row in listed}
    events = one.client.get(f"{place}/events", headers={"Accept": "application/json"}).json()["events"]
    assert events[-1]["type"] == "Finished"
    assert one.get("/health/ready")["checks"]["storage"]


def test_steps_of_a_client_go_on_in_another_process(apis: tuple[Api, Api]) -> None:
    one, two = apis
    session_id = one.session(LEASE)
    made = one.post(f"/v1/sessions/{session_id}/executions/runtime", 201)
    place = f"/v1/executions/{made['execution_id']}"
    first = one.post(f"{place}/steps", json={"code": "state['n'] = len(context[0])"})
    assert first["state"]["n"] == len(LEASE)
    queue = "tool.queue_llm('a', 'one', max_tokens=5)\ntool.YIELD('wait')"
    step = two.post(f"{place}/steps", json={"code": queue})
    resolved = one.post(f"{place}/tools/resolve", json={"tool_requests": step["tool_requests"]})
    assert resolved["statuses"] == {"a": "resolved"}
    last = two.post(f"{place}/steps", json={"code": "tool.FINAL(context[0][:state['n'] // 2])"})
    assert last["final"]["answer"] == LEASE[: len(LEASE) // 2]
    found = one.get(place)
    assert (found["status"], found["mode"]) == ("COMPLETED", "RUNTIME")


def test_a_request_repeated_at_another_process_is_one(apis: tuple[Api, Api]) -> None:
    one, two = apis
    session_id = one.session(LEASE)
    headers, asked = {"Idempotency-Key": uuid4().hex}, {"question": "How can it end?"}
    replies = [
        api.client.post(f"/v1/sessions/{session_id}/executions", json=asked, headers=headers)
        for api in (one, two)
    ]
    assert [reply.status_code for reply in replies] == [202, 202]
    assert len({reply.json()["execution_id"] for reply in replies}) == 1


def test_what_is_deleted_is_gone_for_every_process(
    apis: tuple[Api, Api], account: Account, bucket: str
) -> None:
    one, two = apis
    session_id = one.session(LEASE)
    asked = {"question": "How can the lease be ended?"}
    execution_id = one.post(f"/v1/sessions/{session_id}/executions", 202, json=asked)["execution_id"]
    two.post(f"/v1/executions/{execution_id}/wait", json={"timeout_seconds": 60})
    assert two.client.delete(f"/v1/sessions/{session_id}").json() == {"status": "DELETING"}
    until(lambda: one.client.get(f"/v1/sessions/{session_id}").status_code == 404)
    assert one.client.get(f"/v1/executions/{execution_id}").status_code == 404
    listed = account.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"parsed/acme/{session_id}/")
    assert listed.get("KeyCount", 0) == 0


def test_another_tenant_finds_nothing(service: Programs, apis: tuple[Api, Api]) -> None:
    session_id = apis[0].session(LEASE)
    stranger = apis[1].as_tenant(service.key("globex"))
    assert stranger.client.get(f"/v1/sessions/{session_id}").status_code == 404
    assert stranger.get("/v1/sessions")["sessions"] == []
