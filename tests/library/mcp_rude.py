"""An MCP server over standard streams that keeps to the protocol only as far as its argument says."""

from __future__ import annotations

import json
import sys
from typing import Any

TOOLS = [
    {"name": "shapeless", "inputSchema": {"type": "object"}, "outputSchema": {"type": "object"}},
    {"name": "malformed", "inputSchema": {"type": "object"}},
    {"name": "fine", "inputSchema": {"type": "object"}},
]
RESULTS: dict[str, Any] = {
    "shapeless": {"content": []},
    "malformed": {"content": [{"type": "text", "text": 7}]},
    "fine": {"content": [{"type": "text", "text": "well"}]},
}


def listed(how: str) -> dict[str, Any] | None:
    """The answer to `tools/list`, or none at all."""
    answers: dict[str, dict[str, Any]] = {
        "error": {"error": {"code": -32603, "message": "no list today"}},
        "malformed": {"result": {"tools": "none"}},
        "schema": {
            "result": {"tools": [{"name": "a", "inputSchema": {"properties": ["a"], "required": [["a"]]}}]}
        },
        "endless": {"result": {"tools": [], "nextCursor": "more"}},
        "tools": {"result": {"tools": TOOLS}},
    }
    return answers.get(how)


def answered(request: dict[str, Any], how: str) -> dict[str, Any] | None:
    """What comes back for a request."""
    if how == "mute":
        return None
    if request["method"] == "initialize":
        version = request["params"]["protocolVersion"]
        told = {"protocolVersion": version, "capabilities": {"tools": {}}}
        return {"result": told | {"serverInfo": {"name": "rude", "version": "1"}}}
    if request["method"] == "tools/list":
        return listed(how)
    if request["method"] == "tools/call":
        return {"result": RESULTS[request["params"]["name"]]}
    return {"error": {"code": -32601, "message": "unknown"}}


for line in sys.stdin:
    message = json.loads(line)
    answer = answered(message, sys.argv[1]) if "id" in message else None
    if answer is not None:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}), flush=True)
