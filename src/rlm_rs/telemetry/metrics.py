"""Prometheus metrics. Labels are few and bounded: routes, not paths; never tenants or ids."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
    start_http_server,
)

from rlm_rs.core.corpus import Failure, Parsed
from rlm_rs.core.errors import SettingInvalid
from rlm_rs.core.execution import Event, Finished, RootReplied, StepRan, SubcallResolved
from rlm_rs.core.model import Usage
from rlm_rs.core.ports import StoredParser

CONTENT_TYPE = CONTENT_TYPE_LATEST
_STEP_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 120)
# a model may think for minutes, and a parser read for an hour
_LONG_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 120, 600, 3600)


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
            "rlm_model_call_seconds",
            "Seconds of one model call.",
            ("role",),
            registry=registry,
            buckets=_LONG_BUCKETS,
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
        self._parsing = Histogram(
            "rlm_parse_seconds",
            "Seconds of reading one document in.",
            ("outcome",),
            registry=registry,
            buckets=_LONG_BUCKETS,
        )
        self._queue = Gauge("rlm_queue_depth", "Items that wait for a worker.", ("kind",), registry=registry)
        ProcessCollector(registry=registry)

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

    def measured(self, parser: StoredParser) -> StoredParser:
        """The parser, with its documents counted and timed."""
        return _Measured(parser, self._parsing)

    @contextmanager
    def served(self, host: str, port: int | None) -> Iterator[str | None]:
        """Answer at `/metrics` of an address meanwhile, in a thread; gives its URL, None without a port.

        Port 0 picks a free one. Raises `SettingInvalid` where the port cannot be had.
        """
        if port is None:
            yield None
            return
        try:
            server, thread = start_http_server(port, host, self._registry)
        except OSError as error:
            reason = f"cannot listen on {host}:{port} ({error.strerror or error}). Choose another."
            raise SettingInvalid(variable="METRICS_PORT", value=port, reason=reason) from error
        try:
            yield f"http://{host}:{server.server_port}/metrics"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

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


@dataclass(frozen=True, slots=True)
class _Measured:
    """`core.ports.StoredParser`, timed."""

    parser: StoredParser
    seconds: Histogram

    async def parse_stored(
        self,
        uri: str,
        source_name: str,
        mime_type: str | None,
        output_prefix: str,
        version_id: str | None = None,
        etag: str | None = None,
    ) -> Parsed | Failure:
        begun, outcome = time.perf_counter(), "unreachable"
        try:
            found = await self.parser.parse_stored(
                uri, source_name, mime_type, output_prefix, version_id, etag
            )
            outcome = "failed" if isinstance(found, Failure) else "parsed"
            return found
        finally:
            self.seconds.labels(outcome).observe(time.perf_counter() - begun)
