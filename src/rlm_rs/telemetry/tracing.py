"""Spans to an OpenTelemetry collector, by OTLP over HTTP. Needs the extra `otel`.

Where they go is said by OpenTelemetry's own variables: OTEL_EXPORTER_OTLP_ENDPOINT and the like for the
collector, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_BSP_* for the rest.
"""

from __future__ import annotations

import os

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_SERVICE_NAME
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
)
from opentelemetry.semconv.attributes.url_attributes import URL_SCHEME
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from rlm_rs.core.execution import Event, Run
from rlm_rs.telemetry import genai
from rlm_rs.telemetry.requests import AnsweredRequest
from rlm_rs.telemetry.spans import SpanReader, TraceSpan, span_id, trace_id
from rlm_rs.version import __version__

SERVICE = "rlm-rs"
NANOSECONDS = 1_000_000_000
NO_RESPONSE = "no_response"
OTHER_METHOD = "_OTHER"
"""What the HTTP conventions call a method that is not one of HTTP's."""


class Tracing:
    """Sends the spans of what is recorded and asked for here; a watcher of the event log.

    They are sent from a thread of its own, in batches. A collector that cannot be reached costs spans and
    a line in the log, never an execution.
    """

    def __init__(self, provider: str, *, content: bool = False) -> None:
        self._reader = SpanReader(provider, content=content)
        self._ids = _GivenIds()
        self._tracing = TracerProvider(id_generator=self._ids, resource=_resource(), shutdown_on_exit=False)
        self._tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._tracing.get_tracer("rlm_rs", __version__)

    def heard(self, run: Run, event: Event) -> None:
        """Send what has ended with a recorded event."""
        for span in self._reader.ended(run, event):
            self._send(span)

    def answered(self, request: AnsweredRequest) -> None:
        """Send the span of a request: below the client's, if it named one, with a link to the execution."""
        self._ids.trace_id = _RANDOM.generate_trace_id()
        self._ids.span_id = _RANDOM.generate_span_id()
        begun = self._tracer.start_span(
            request.name,
            context=_TRACE_CONTEXT.extract(request.headers, Context()),
            kind=SpanKind.SERVER,
            start_time=_nanoseconds(request.start),
            attributes=_attributes(request),
            links=[self._link(request.execution_id)] if request.execution_id else [],
        )
        if request.status == 0 or request.status >= 500:
            begun.set_attribute(genai.ERROR_TYPE, str(request.status or NO_RESPONSE))
            begun.set_status(StatusCode.ERROR)
        begun.end(_nanoseconds(max(request.start, request.end)))

    def close(self) -> None:
        """Send what is left, waiting as long as OTEL_EXPORTER_OTLP_TIMEOUT allows."""
        self._tracing.shutdown()

    def _send(self, span: TraceSpan) -> None:
        self._ids.trace_id, self._ids.span_id = span.trace_id, span.span_id
        begun = self._tracer.start_span(
            span.name,
            context=self._context(span),
            kind=SpanKind.CLIENT if span.calls_out else SpanKind.INTERNAL,
            start_time=_nanoseconds(span.start),
            attributes={name: value for name, value in span.attributes.items() if value is not None},
        )
        if span.error:
            begun.set_attribute(genai.ERROR_TYPE, span.error)
            begun.set_status(StatusCode.ERROR, span.error)
        begun.end(_nanoseconds(max(span.start, span.end)))

    def _context(self, span: TraceSpan) -> Context:
        """The parent's, which may have been recorded by another process: sampled if the trace is."""
        if span.parent_id is None:
            return Context()
        parent = self._place(span.trace_id, span.parent_id, span.name)
        return set_span_in_context(NonRecordingSpan(parent), Context())

    def _link(self, execution_id: str) -> Link:
        return Link(self._place(trace_id(execution_id), span_id(execution_id), genai.INVOKE_AGENT))

    def _place(self, trace: int, span: int, name: str) -> SpanContext:
        wanted = self._tracing.sampler.should_sample(None, trace, name)
        sampled = wanted.decision == Decision.RECORD_AND_SAMPLE
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        return SpanContext(trace, span, is_remote=False, trace_flags=flags)


class _GivenIds(IdGenerator):
    """The ids of the span that is begun next."""

    trace_id = span_id = 1

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


_RANDOM = RandomIdGenerator()
_TRACE_CONTEXT = TraceContextTextMapPropagator()


def _attributes(request: AnsweredRequest) -> dict[str, str | int]:
    found = {
        HTTP_REQUEST_METHOD: request.method or OTHER_METHOD,
        HTTP_ROUTE: request.route,
        HTTP_RESPONSE_STATUS_CODE: request.status or None,
        URL_SCHEME: request.scheme,
        genai.REQUEST_ID: request.request_id,
        genai.TENANT_ID: request.tenant_id,
        genai.SESSION_ID: request.session_id,
        genai.EXECUTION_ID: request.execution_id,
    }
    return {name: value for name, value in found.items() if value is not None}


def _resource() -> Resource:
    own = {SERVICE_VERSION: __version__}
    if not os.environ.get(OTEL_SERVICE_NAME):
        own[SERVICE_NAME] = SERVICE
    return Resource.create(own)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * NANOSECONDS)
