"""What is counted, and under which names."""

from __future__ import annotations

from rlm_rs.core.budget import Spend
from rlm_rs.core.execution import Finished, RootReplied, StepRan, SubcallResolved
from rlm_rs.core.model import Usage
from rlm_rs.core.records import ExecutionStatus
from rlm_rs.sandbox.protocol import StepResult, StepUsage, SubcallRequest, SubcallResult
from rlm_rs.telemetry.metrics import Metrics


def lines(metrics: Metrics) -> list[str]:
    return metrics.render().decode().splitlines()


def test_requests_are_counted_under_the_names_clients_know() -> None:
    metrics = Metrics()
    metrics.request_ended("GET", "/v1/sessions/{session_id}", 200, 0.02)
    told = lines(metrics)
    labels = 'endpoint="/v1/sessions/{session_id}",method="GET"'
    assert f'rlm_api_requests_total{{{labels},status="200"}} 1.0' in told
    assert f"rlm_api_request_latency_seconds_count{{{labels}}} 1.0" in told


def test_tokens_and_cost_of_root_and_sub_model_are_added_up() -> None:
    metrics = Metrics()
    metrics.heard("e", 1, RootReplied(turn=0, text="", usage=Usage(10, 2), cost_usd=0.5))
    asked = SubcallRequest("k", "llm", "?")
    answered = SubcallResult("k", asked.digest(), "resolved")
    spend = Spend(input_tokens=5, output_tokens=1, cost_usd=0.25)
    metrics.heard("e", 2, SubcallResolved(turn=0, request=asked, result=answered, spend=spend))
    told = lines(metrics)
    assert 'rlm_tokens_total{kind="input"} 15.0' in told
    assert 'rlm_tokens_total{kind="output"} 3.0' in told
    assert "rlm_cost_usd_total 0.75" in told
    assert 'rlm_subcalls_total{cache_hit="false",kind="llm",status="resolved"} 1.0' in told


def test_a_childs_spend_is_not_counted_twice() -> None:
    metrics = Metrics()
    asked = SubcallRequest("k", "rlm", "?")
    answered = SubcallResult("k", asked.digest(), "resolved")
    spend = Spend(input_tokens=5, output_tokens=1, cost_usd=0.25)
    metrics.heard("e", 2, SubcallResolved(turn=0, request=asked, result=answered, spend=spend))
    assert "rlm_cost_usd_total 0.0" in lines(metrics)


def test_steps_ends_and_queues_have_their_figures() -> None:
    metrics = Metrics()
    metrics.heard("e", 1, StepRan(turn=0, result=StepResult("finished", usage=StepUsage(0.5))))
    metrics.heard("e", 2, StepRan(turn=0, result=StepResult("suspended")))
    metrics.heard("e", 3, Finished(status=ExecutionStatus.COMPLETED))
    metrics.queue_depth("execution", 7)
    told = lines(metrics)
    assert 'rlm_step_seconds_count{outcome="ok"} 1.0' in told
    assert 'rlm_executions_total{status="COMPLETED"} 1.0' in told
    assert 'rlm_queue_depth{kind="execution"} 7.0' in told
