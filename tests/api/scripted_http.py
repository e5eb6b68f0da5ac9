"""A server that answers what it is told to, in order, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """A response; dropped: the connection ends after the body, as if the line had broken."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    dropped: bool = False


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


def said(value: Any, status: int = 200, **headers: str) -> Reply:
    """JSON."""
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


def refused(status: int, code: str, message: str = "no", headers: Mapping[str, str] | None = None) -> Reply:
    """An error envelope."""
    error = {"code": code, "message": message, "request_id": "req_1", "details": {}}
    return said({"error": error}, status, **(headers or {}))


def events(*frames: str, dropped: bool = False) -> Reply:
    """A stream of events."""
    return Reply(200, "".join(frames).encode(), {"Content-Type": "text/event-stream"}, dropped)


@contextmanager
def scripted(replies: Sequence[Reply]) -> Iterator[tuple[str, list[Asked]]]:
    """Its URL, and the requests as they come. The last reply is given again and again."""
    asked: list[Asked] = []
    left = list(replies)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(Asked(self.command, self.path, dict(self.headers), body))
            reply = left.pop(0) if len(left) > 1 else left[0]
            if reply.dropped and not reply.body:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            # a body that is cut off is shorter than it was said to be
            self.send_header("Content-Length", str(len(reply.body) + (100 if reply.dropped else 0)))
            self.end_headers()
            self.wfile.write(reply.body)
            self.close_connection = reply.dropped

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            """Nothing is written to standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
