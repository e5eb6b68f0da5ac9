"""A server that speaks the part of OpenSearch's HTTP API that `rlm_rs.search.opensearch` uses, for tests.

It really indexes and ranks (see `opensearch_index`), over a real loopback socket: what is tested is what the
official client really sends and reads. It keeps everything in memory.

    with OpenSearchTestServer() as server:
        index = OpenSearchIndex(blobs, server.url)
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from rlm_rs.testing.opensearch_index import Index, Unsupported

Reply = tuple[int, Any]
NOT_FOUND = "index_not_found_exception"


class OpenSearchTestServer:
    """The server as a context manager on its own port.

    requests holds `(method, path)` of everything asked. faults: statuses that the next requests are refused
    with, one each; 0 answers as usual.
    """

    def __init__(self) -> None:
        self.indexes: dict[str, Index] = {}
        self.requests: list[tuple[str, str]] = []
        self.faults: deque[int] = deque()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _connection(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """What OPENSEARCH_URL takes."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, method: str, path: str, body: bytes) -> Reply:
        """What a request is answered with."""
        with self._lock:
            self.requests.append((method, path))
            if self.faults and (status := self.faults.popleft()):
                return status, _error(status, "test_fault", "refused by the test")
            try:
                return self._routed(method, [unquote(part) for part in path.strip("/").split("/")], body)
            except Unsupported as error:
                return 400, _error(400, "parsing_exception", str(error))

    def _routed(self, method: str, path: list[str], body: bytes) -> Reply:
        match method, path:
            case "PUT", [name]:
                return self._create(name, json.loads(body or b"{}"))
            case "GET", [pattern]:
                return self._get(pattern)
            case "DELETE", [name]:
                return self._delete(name)
            case (("POST" | "PUT"), [name, "_bulk"]):
                return self._bulk(name, body)
            case "POST", [name, "_refresh"]:
                return self._on(name, _refreshed)
            case "GET", [name, "_mapping"]:
                return self._on(name, lambda index: {name: {"mappings": index.mappings}})
            case (("PUT" | "POST"), [name, "_mapping"]):
                return self._on(name, lambda index: _mapped(index, json.loads(body)))
            case (("GET" | "POST"), [name, "_search"]):
                return self._on(name, lambda index: _found(index, name, json.loads(body)))
        return 405, _error(405, "method_not_allowed", f"{method} /{'/'.join(path)}")

    def _on(self, name: str, act: Callable[[Index], Any]) -> Reply:
        index = self.indexes.get(name)
        return (
            (404, _error(404, NOT_FOUND, f"no such index [{name}]")) if index is None else (200, act(index))
        )

    def _create(self, name: str, body: Mapping[str, Any]) -> Reply:
        if name in self.indexes:
            return 400, _error(400, "resource_already_exists_exception", f"index [{name}] already exists")
        self.indexes[name] = Index(body.get("settings", {}), dict(body.get("mappings", {})))
        return 200, {"acknowledged": True, "index": name}

    def _get(self, pattern: str) -> Reply:
        found = {
            name: {"mappings": i.mappings} for name, i in self.indexes.items() if fnmatchcase(name, pattern)
        }
        # a pattern that nothing fits is no error, a name is
        missing = not found and "*" not in pattern
        return (404, _error(404, NOT_FOUND, f"no such index [{pattern}]")) if missing else (200, found)

    def _delete(self, name: str) -> Reply:
        self.indexes.pop(name, None)
        return 200, {"acknowledged": True}

    def _bulk(self, name: str, body: bytes) -> Reply:
        lines = [json.loads(line) for line in body.splitlines() if line]
        index = self.indexes.setdefault(name, Index({}, {}))
        items = []
        for action, entry in zip(lines[::2], lines[1::2], strict=True):
            entry_id = action["index"]["_id"]
            index.put(entry_id, entry)
            items.append({"index": {"_index": name, "_id": entry_id, "status": 201}})
        return 200, {"errors": False, "items": items}


def _refreshed(index: Index) -> Any:
    index.refreshed = True
    return {"_shards": {"failed": 0}}


def _mapped(index: Index, body: Mapping[str, Any]) -> Any:
    index.mapped(body)
    return {"acknowledged": True}


def _found(index: Index, name: str, body: Mapping[str, Any]) -> Any:
    wanted = body.get("_source", [])
    hits = [
        {
            "_index": name,
            "_id": entry_id,
            "_score": score,
            "_source": {field: index.entries[entry_id][field] for field in wanted},
        }
        for score, entry_id in index.search(body["query"], body.get("size", 10))
    ]
    return {"timed_out": False, "hits": {"total": {"value": len(hits), "relation": "eq"}, "hits": hits}}


def _error(status: int, kind: str, reason: str) -> Any:
    return {"error": {"type": kind, "reason": reason, "root_cause": []}, "status": status}


def _connection(server: OpenSearchTestServer) -> type[BaseHTTPRequestHandler]:
    class Connection(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # head and body in one piece: sent apart, the second waits for the other side's acknowledgement
        wbufsize = 1 << 16

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, reply = server.answer(self.command, urlsplit(self.path).path, body)
            data = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = _serve

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: what was asked is in `requests`."""

    return Connection
