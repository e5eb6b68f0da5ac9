"""Evaluations and traces over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from api_server import code_of, ended, running, session, start, until

from rlm_rs.core.model import ModelRequest
from rlm_rs.testing.models import ScriptedModel

STEP = "```repl\nFINAL('It says ' + context[0][0:10])\n```"
RELEVANT = '{"parts": [{"part": "how", "addressed": "yes"}], "off_topic": false}'
FAITHFUL = '{"claims": [{"claim": "it ends", "supported": true}, {"claim": "x", "supported": false}]}'


def reply(request: ModelRequest) -> str:
    system = request.messages[0].content
    if system.startswith("You grade how well"):
        return RELEVANT
    if system.startswith("You grade whether"):
        return FAITHFUL
    return "Six months" if "documents below" in system else STEP


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    windows = '{"scripted-root": 100000}'
    data = tmp_path_factory.mktemp("data")
    with (
        running(
            data, ScriptedModel(reply), enable_eval_judge=True, model_context_windows_json=windows
        ) as found,
        found.client() as client,
    ):
        yield client


@pytest.fixture(scope="module")
def execution_id(client: httpx2.Client) -> str:
    more = {"options": {"return_trace": True}, "reference_answers": ["It says This lease"]}
    execution_id = start(client, session(client), **more)
    ended(client, execution_id)
    until(lambda: client.get(f"/v1/executions/{execution_id}/evaluation").status_code == 200)
    until(lambda: client.get(f"/v1/executions/{execution_id}/evaluation").json()["status"] == "COMPLETED")
    return execution_id


def test_an_evaluation_has_the_fields_clients_know(client: httpx2.Client, execution_id: str) -> None:
    found = client.get(f"/v1/executions/{execution_id}/evaluation").json()
    assert found["baseline_status"] == "COMPLETED"
    assert found["baseline_skip_reason"] is None
    assert found["baseline_answer"] == "Six months"
    assert found["judge_metrics"]["answerer"] == {"answer_relevancy": 1.0, "faithfulness": 0.5}
    assert found["reference_scores"]["answerer"]["exact_match"] == 1
    assert found["question"] == "How can the lease end?"
    assert found["spend"]["calls"] == len(found["calls"]) == 5
    assert found["created_at"].endswith("Z")


def test_it_can_be_made_again(client: httpx2.Client, execution_id: str) -> None:
    first = client.get(f"/v1/executions/{execution_id}/evaluation").json()
    again = client.post(f"/v1/executions/{execution_id}/evaluation/recompute", json={})
    assert again.status_code == 200
    assert again.json()["status"] == "COMPLETED"
    assert again.json()["revision"] == first["revision"] + 1
    assert again.json()["judge_metrics"] == first["judge_metrics"]
    body = {"recompute_baseline": True, "reference_answers": ["other"]}
    renewed = client.post(f"/v1/executions/{execution_id}/evaluation/recompute", json=body).json()
    assert renewed["reference_scores"]["answerer"]["exact_match"] == 0
    assert sum(call["purpose"] == "baseline" for call in renewed["calls"]) == 2


def test_the_trace_uri_is_where_it_lies(client: httpx2.Client, execution_id: str) -> None:
    found = client.get(f"/v1/executions/{execution_id}").json()
    place = f"acme/{found['session_id']}/{execution_id}"
    assert found["trace_s3_uri"] == f"s3://rlm/traces/{place}.json.gz"
    trace = client.get(f"/v1/executions/{execution_id}/trace").json()
    assert trace["evaluation"]["judge_metrics"]["answerer"]["faithfulness"] == 0.5
    unasked = start(client, found["session_id"])
    assert ended(client, unasked)["trace_s3_uri"] is None


def test_what_cannot_be_evaluated_is_an_envelope(client: httpx2.Client, execution_id: str) -> None:
    session_id = client.get(f"/v1/executions/{execution_id}").json()["session_id"]
    made = client.post(f"/v1/sessions/{session_id}/executions/runtime").json()["execution_id"]
    place = f"/v1/executions/{made}/evaluation"
    assert code_of(client.get(place)) == "VALIDATION_ERROR"
    assert code_of(client.post(f"{place}/recompute")) == "VALIDATION_ERROR"
    unknown = "/v1/executions/exec_none/evaluation"
    assert code_of(client.get(unknown)) == "EXECUTION_NOT_FOUND"
    assert code_of(client.post(f"{unknown}/recompute", json={})) == "EXECUTION_NOT_FOUND"
    odd = client.post(f"/v1/executions/{execution_id}/evaluation/recompute", json={"recompute": True})
    assert code_of(odd) == "VALIDATION_ERROR"


def test_a_key_that_only_reads_evaluates_nothing(tmp_path: Path) -> None:
    with running(tmp_path, ScriptedModel(reply)) as server, server.client("acme", "read") as reader:
        response = reader.post("/v1/executions/exec_none/evaluation/recompute")
        assert code_of(response) == "FORBIDDEN"
