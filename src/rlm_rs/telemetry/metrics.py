"""Prometheus metrics. Labels are few and bounded: routes, not paths; never tenants or ids."""

from __future__ import annotations

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from rlm_rs.core.execution import Event, Finished, RootReplied, StepRan, SubcallResolved
from rlm_rs.core.model import Usage

CONTENT_TYPE = CONTENT_TYPE_LATEST
_STEP_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 120)


class Metrics:
    """All metrics of one process, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "rlm_api_requests", "Requests answered.", ("method", "endpoint", "status"), registry=registry
        )
        self._latency = Histogram(
            "rlm_api_request_latency_seconds",
            "Seconds from a request to the end of its response.",
            ("method", "endpoint"),
            registry=registry,
        )
        self._tokens = Counter("rlm_tokens", "Tokens paid for.", ("kind",), registry=registry)
        self._cost = Counter("rlm_cost_usd", "US dollars, as far as prices are known.", registry=registry)
        self._model_calls = Histogram(
            "rlm_model_call_seconds", "Seconds of one model call.", ("role",), registry=registry
        )
        self._steps = Histogram(
            "rlm_step_seconds",
            "Seconds of a step's own work.",
            ("outcome",),
            registry=registry,
            buckets=_STEP_BUCKETS,
        )
        self._subcalls = Counter(
            "rlm_subcalls", "Sub-calls answered.", ("kind", "status", "cache_hit"), registry=registry
        )
        self._executions = Counter("rlm_executions", "Executions ended.", ("status",), registry=registry)
        self._queue = Gauge("rlm_queue_depth", "Items that wait for a worker.", ("kind",), registry=registry)

    def request_ended(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        """A response was sent to its end. endpoint is the route's template."""
        self._requests.labels(method, endpoint, str(status)).inc()
        self._latency.labels(method, endpoint).observe(seconds)

    def queue_depth(self, kind: str, waiting: int) -> None:
        """So many items of a kind wait."""
        self._queue.labels(kind).set(waiting)

    def heard(self, execution_id: str, seq: int, event: Event) -> None:
        """Count a recorded event; a listener of the event log."""
        match event:
            case RootReplied():
                self._replied(event)
            case StepRan() if event.result.status == "finished":
                outcome = "error" if event.result.error else "ok"
                self._steps.labels(outcome).observe(event.result.usage.wall_seconds)
            case SubcallResolved():
                self._answered(event)
            case Finished():
                self._executions.labels(str(event.status)).inc()
            case _:
                pass

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def _replied(self, event: RootReplied) -> None:
        usage = event.usage or Usage()
        self._count(usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, event.cost_usd)
        if event.model != "client":
            self._model_calls.labels("root").observe(event.seconds)

    def _answered(self, event: SubcallResolved) -> None:
        request, spend = event.request, event.spend
        self._subcalls.labels(request.kind, event.result.status, str(event.cache_hit).lower()).inc()
        # a child execution's own events have been counted as they were recorded
        if request.kind == "llm":
            self._count(spend.input_tokens, spend.output_tokens, spend.cached_input_tokens, spend.cost_usd)
            self._model_calls.labels("sub").observe(event.seconds)

    def _count(self, input_tokens: int, output_tokens: int, cached: int, cost_usd: float | None) -> None:
        self._tokens.labels("input").inc(input_tokens)
        self._tokens.labels("output").inc(output_tokens)
        self._tokens.labels("cached_input").inc(cached)
        self._cost.inc(cost_usd or 0.0)
