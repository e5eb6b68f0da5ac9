"""A small OpenTelemetry collector: it takes OTLP over HTTP on a loopback socket and keeps the spans."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Received:
    """A span as it came over the wire."""

    name: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    start: int
    end: int
    error: str
    service: str
    attributes: dict[str, Any]
    kind: int = 0
    links: list[tuple[bytes, bytes]] = field(default_factory=list)


@dataclass
class Collector:
    """Where it listens, every span that came, and the bodies as they were sent."""

    url: str
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    spans: list[Received] = field(default_factory=list)

    @property
    def raw(self) -> bytes:
        return b"".join(self.bodies)

    def named(self, name: str) -> list[Received]:
        return [span for span in self.spans if span.name == name]

    def parent(self, span: Received) -> Received:
        return next(other for other in self.spans if other.span_id == span.parent_id)

    def take(self, headers: dict[str, str], body: bytes) -> None:
        self.headers.append(headers)
        plain = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        self.bodies.append(plain)
        for resource in ExportTraceServiceRequest.FromString(plain).resource_spans:
            service = values(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [received(span, service) for span in scope.spans]


def received(span: Any, service: str) -> Received:
    return Received(
        span.name,
        span.trace_id,
        span.span_id,
        span.parent_span_id,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.status.message,
        service,
        values(span.attributes),
        span.kind,
        [(link.trace_id, link.span_id) for link in span.links],
    )


def values(attributes: Any) -> dict[str, Any]:
    return {item.key: value(item.value) for item in attributes}


def value(given: Any) -> Any:
    kind = given.WhichOneof("value")
    found = getattr(given, kind)
    return [value(item) for item in found.values] if kind == "array_value" else found


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector meanwhile."""

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                collector.take({name.lower(): text for name, text in self.headers.items()}, body)
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
