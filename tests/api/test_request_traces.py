"""A request is one span: what was asked of which route and how it ended, and nothing that was said."""

from __future__ import annotations

import httpx2
import pytest
from api_server import LEASE, Running, ended, running, session, start
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector import Collector, Received, collecting

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CLIENT = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-ID": "req_mine"}
MODEL = {"model": "rlm", "messages": [{"role": "user", "content": f"{LEASE}\nHow can it end?"}]}


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Collector:
    """What came of one flow through a server."""
    place = tmp_path_factory.mktemp("data")
    with collecting() as collector, pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with (
            running(place, llm_provider="fake", enable_otel_tracing=True) as server,
            server.client() as client,
        ):
            flow(server, client)
    return collector


def flow(server: Running, client: httpx2.Client) -> None:
    made = session(client)
    execution_id = start(client, made, "What of the unmistakable zebra?")
    ended(client, execution_id)
    client.get(f"/v1/executions/{execution_id}?secret=zebra", headers=CLIENT)
    client.get("/v1/executions/exec_none", headers={"traceparent": "nonsense"})
    client.post("/v1/chat/completions", json=MODEL)
    client.get("/nowhere/zebra")
    client.request("BREW", "/v1/sessions")
    httpx2.get(f"{server.url}/v1/sessions")


def test_a_request_is_a_span_of_its_route_with_the_ids_it_was_about(collector: Collector) -> None:
    (asked,) = collector.named("POST /v1/sessions/{session_id}/executions")
    (whole, _) = collector.named("invoke_agent rlm")
    assert asked.kind == Span.SPAN_KIND_SERVER
    assert asked.parent_id == b""
    assert asked.start < asked.end
    expected = {
        "http.request.method": "POST",
        "http.route": "/v1/sessions/{session_id}/executions",
        "http.response.status_code": 202,
        "url.scheme": "http",
        "rlm.tenant.id": "acme",
        "rlm.session.id": whole.attributes["rlm.session.id"],
        "rlm.execution.id": whole.attributes["rlm.execution.id"],
    }
    assert {name: asked.attributes.get(name) for name in expected} == expected
    assert asked.attributes["rlm.request_id"].startswith("req_")
    assert asked.links == [(whole.trace_id, whole.span_id)]
    (made,) = collector.named("POST /v1/sessions")
    assert made.attributes["rlm.session.id"] == whole.attributes["rlm.session.id"]
    assert made.links == []
    (chat,) = collector.named("POST /v1/chat/completions")
    assert chat.links


def test_the_clients_trace_is_gone_on_with(collector: Collector) -> None:
    mine, strange = collector.named("GET /v1/executions/{execution_id}")
    assert (mine.trace_id.hex(), mine.parent_id.hex()) == (TRACE, PARENT)
    assert mine.attributes["rlm.request_id"] == "req_mine"
    assert mine.links
    assert strange.parent_id == b""
    assert strange.attributes["http.response.status_code"] == 404
    ids = [span.span_id for span in collector.spans]
    assert len(set(ids)) == len(ids)


def test_what_is_no_route_method_or_caller_has_a_span_without_them(collector: Collector) -> None:
    nowhere, stranger = named_alone(collector, "GET")
    assert [span.attributes["http.response.status_code"] for span in (nowhere, stranger)] == [404, 401]
    assert "rlm.tenant.id" not in stranger.attributes
    (brewed,) = [span for span in collector.spans if span.attributes.get("http.request.method") == "_OTHER"]
    assert brewed.name.startswith("HTTP")
    assert not any(span.error for span in (nowhere, stranger, brewed))


def test_nothing_of_bodies_paths_or_queries_is_sent(collector: Collector) -> None:
    for text in (b"zebra", b"lease", b"secret", b"BREW"):
        assert text not in collector.raw


def named_alone(collector: Collector, method: str) -> list[Received]:
    return sorted(collector.named(method), key=lambda span: span.start)
