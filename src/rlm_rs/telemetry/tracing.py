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
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from rlm_rs.core.execution import Event, Run
from rlm_rs.telemetry import genai
from rlm_rs.telemetry.spans import SpanReader, TraceSpan
from rlm_rs.version import __version__

SERVICE = "rlm-rs"
NANOSECONDS = 1_000_000_000


class Tracing:
    """Sends the spans of what is recorded here; a watcher of the event log.

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
        wanted = self._tracing.sampler.should_sample(None, span.trace_id, span.name)
        sampled = wanted.decision == Decision.RECORD_AND_SAMPLE
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        parent = SpanContext(span.trace_id, span.parent_id, is_remote=False, trace_flags=flags)
        return set_span_in_context(NonRecordingSpan(parent), Context())


class _GivenIds(IdGenerator):
    """The ids of the span that is begun next."""

    trace_id = span_id = 1

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


def _resource() -> Resource:
    own = {SERVICE_VERSION: __version__}
    if not os.environ.get(OTEL_SERVICE_NAME):
        own[SERVICE_NAME] = SERVICE
    return Resource.create(own)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * NANOSECONDS)
