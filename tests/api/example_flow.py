"""The flow whose requests and responses are the examples of /docs. As a program it writes them anew:

python tests/api/example_flow.py
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import httpx2
from api_server import LEASE, ended, running, until

import rlm_rs.api.examples

FILE = Path(rlm_rs.api.examples.__file__).with_name("examples.json")
LONGEST = 300
DAY = "2026-01-05T09:00:00Z"
QUESTION = "How can the lease be ended for convenience?"
STEP = (
    "state['length'] = len(context[0])\nprint(context[0][0:36])\n"
    "tool.queue_llm('notice', 'What notice is due? ' + context[0][:])\ntool.YIELD('asked')"
)


class Flow:
    """Requests one after another; each is kept as the example of its operation."""

    def __init__(self, client: httpx2.Client) -> None:
        self.client = client
        self.kept: dict[str, dict[str, Any]] = {}

    def do(self, operation: str, body: Any = None, query: str = "", **ids: str) -> Any:
        """The body of the response."""
        method, _, path = operation.partition(" ")
        done = self.client.request(method, path.format(**ids) + query, json=body)
        assert done.is_success, done.text
        example = {"request": body} if body is not None else {}
        self.kept[operation] = {**example, "status": str(done.status_code), "response": done.json()}
        return done.json()


def flow(client: httpx2.Client) -> dict[str, dict[str, Any]]:
    """Every operation once, over one lease."""
    go = Flow(client)
    sent = client.post("/v1/uploads", params={"filename": "lease.md"}, content=LEASE.encode())
    go.kept["POST /v1/uploads"] = {"status": "201", "response": sent.json()}
    doc = {"source_name": "lease.md", "mime_type": "text/markdown", "raw_s3_uri": sent.json()["raw_s3_uri"]}
    made = {"ttl_minutes": 60, "docs": [doc], "budgets_default": {"max_cost_usd": 0.5}}
    session = go.do("POST /v1/sessions", made)["session_id"]
    until(lambda: client.get(f"/v1/sessions/{session}").json()["readiness"]["ready"])
    doc_id = go.do("GET /v1/sessions/{session_id}", session_id=session)["docs"][0]["doc_id"]
    go.do("GET /v1/sessions", query="?limit=1")
    go.do("GET /v1/sessions/{session_id}/docs/{doc_id}/structure", session_id=session, doc_id=doc_id)
    asked = _answerer(go, session)
    _runtime(go, session)
    span = {"session_id": session, "doc_id": doc_id, "start_char": 33, "end_char": 94}
    ref = go.do("POST /v1/spans/get", span)["ref"]
    go.do("POST /v1/citations/verify", {"ref": ref})
    message = {"role": "user", "content": f"{LEASE}\n{QUESTION}"}
    go.do("POST /v1/chat/completions", {"model": "rlm", "messages": [message]})
    go.do("GET /v1/models")
    go.do("GET /v1/whoami")
    token = go.do("POST /v1/sign-in-links")["token"]
    go.do("POST /sign-in", {"token": token})
    go.do("GET /v1/audit", query="?limit=2")
    go.do("GET /health/live")
    go.do("GET /health/ready")
    go.do("GET /v1/executions/{execution_id}/trace", execution_id=asked)
    go.do("DELETE /v1/sessions/{session_id}", session_id=session)
    return go.kept


def _answerer(go: Flow, session: str) -> str:
    body = {"question": QUESTION, "budgets": {"max_turns": 10}}
    asked = str(go.do("POST /v1/sessions/{session_id}/executions", body, session_id=session)["execution_id"])
    ended(go.client, asked)
    place = "/v1/executions/{execution_id}"
    go.do(f"POST {place}/wait", {"timeout_seconds": 30}, execution_id=asked)
    go.do(f"GET {place}", execution_id=asked)
    go.do("GET /v1/executions", query=f"?limit=1&session_id={session}")
    for what in ("steps", "code", "events"):
        go.do(f"GET {place}/{what}", query="?limit=1", execution_id=asked)
    reference = {"reference_answers": ["six months' written notice"], "timeout_seconds": 30}
    go.do(f"POST {place}/evaluation/recompute", reference, execution_id=asked)
    go.do(f"GET {place}/evaluation", execution_id=asked)
    contexts = {"question": QUESTION, "options": {"output_mode": "CONTEXTS"}}
    made = go.client.post(f"/v1/sessions/{session}/executions", json=contexts).json()["execution_id"]
    ended(go.client, made)
    go.do(f"GET {place}/contexts", execution_id=made)
    return asked


def _runtime(go: Flow, session: str) -> None:
    place = "/v1/executions/{execution_id}"
    wanted = {"budgets": {"max_turns": 10}}
    made = go.do("POST /v1/sessions/{session_id}/executions/runtime", wanted, session_id=session)
    driven = made["execution_id"]
    go.do(f"POST {place}/steps", {"code": STEP}, execution_id=driven)
    request = {"key": "notice", "prompt": f"What notice is due? {LEASE}"}
    go.do(f"POST {place}/tools/resolve", {"tool_requests": {"llm": [request]}}, execution_id=driven)
    go.do(f"POST {place}/cancel", execution_id=driven)


class Shortened:
    """Values as a reader wants them: the same id is always the same, and times say nothing."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}

    def value(self, given: Any) -> Any:
        """The same, made short."""
        if isinstance(given, dict):
            return {name: self.value(inner) for name, inner in given.items()}
        if isinstance(given, list):
            return [self.value(inner) for inner in given]
        if isinstance(given, float):
            return round(given, 2) if given < 1e6 else 1767603600.0
        return self._text(given) if isinstance(given, str) else given

    def _text(self, given: str) -> str:
        text = re.sub(r"[0-9a-f]{32}", self._id, given)
        text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", DAY, text)
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"

    def _id(self, found: re.Match[str]) -> str:
        return self.ids.setdefault(found[0], f"{0x4F1C + 0x1D3 * len(self.ids):04x}")


def main() -> None:
    """Write the examples."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), llm_provider="fake") as server:
        kept = Shortened().value(flow(server.client("acme")))
    FILE.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
