"""What is counted, and under which names."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from rlm_rs.core.budget import Spend
from rlm_rs.core.corpus import Failure
from rlm_rs.core.errors import ParserFailed, SettingInvalid
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


class ParsesNothing:
    """A parser that fails as it is told to."""

    def __init__(self, outcome: Failure | Exception) -> None:
        self.outcome = outcome

    async def parse_stored(self, *_: object) -> Failure:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


async def test_documents_are_timed_by_how_their_parsing_ended() -> None:
    metrics = Metrics()
    failed = Failure("ENCRYPTED", "It is encrypted.")
    assert await metrics.measured(ParsesNothing(failed)).parse_stored("u", "n", None, "p/") == failed
    with pytest.raises(ParserFailed):
        await metrics.measured(ParsesNothing(ParserFailed(reason="away"))).parse_stored("u", "n", None, "p/")
    told = lines(metrics)
    assert 'rlm_parse_seconds_count{outcome="failed"} 1.0' in told
    assert 'rlm_parse_seconds_count{outcome="unreachable"} 1.0' in told


def test_metrics_are_served_at_an_address_of_their_own() -> None:
    metrics = Metrics()
    metrics.heard("e", 3, Finished(status=ExecutionStatus.COMPLETED))
    with metrics.served("127.0.0.1", 0) as url:
        assert url
        with urlopen(url, timeout=10) as response:
            assert b'rlm_executions_total{status="COMPLETED"} 1.0' in response.read()
        with pytest.raises(SettingInvalid, match="METRICS_PORT"), metrics.served("127.0.0.1", port_of(url)):
            pass
    with metrics.served("127.0.0.1", None) as url:
        assert url is None


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port
    return port
