"""Tools of the service's configuration: called from steps, in the code log and the trace."""

from __future__ import annotations

import sys
from pathlib import Path

from api_server import ended, running, session, start

from rlm_rs.settings import McpServer
from rlm_rs.testing.models import ScriptedModel

SERVER = str(Path(__file__).resolve().parents[1] / "library" / "mcp_echo.py")
ROOT = "```repl\nFINAL(far_echo('ab', times=2)['said'])\n```"


def test_an_executions_steps_and_a_clients_own_call_them(tmp_path: Path) -> None:
    servers = {"far": McpServer(command=sys.executable, args=[SERVER])}
    with (
        running(tmp_path, ScriptedModel([ROOT]), mcp_servers=servers) as server,
        server.client() as client,
    ):
        session_id = session(client)
        execution_id = start(client, session_id)
        done = ended(client, execution_id)
        assert (done["answer"], done["budgets_consumed"]["tool_calls"]) == ("abab", 1)
        entries = client.get(f"/v1/executions/{execution_id}/code").json()["entries"]
        assert [(e["kind"], e["tool_type"]) for e in entries][1:] == [
            ("TOOL_REQUEST", "tool"),
            ("TOOL_RESULT", "tool"),
        ]
        assert entries[1]["content"]["prompt"] == 'far_echo(text="ab", times=2)'
        trace = client.get(f"/v1/executions/{execution_id}/trace").json()
        assert trace["turns"][0]["tool_results"]["llm"]["0.0"]["text"] == '{"said": "abab"}'
        runtime = client.post(f"/v1/sessions/{session_id}/executions/runtime").json()["execution_id"]
        code = {"code": "try:\n    far_refuse()\nexcept Exception as e:\n    print(e)"}
        stepped = client.post(f"/v1/executions/{runtime}/steps", json=code).json()
        assert stepped["stdout"].startswith("TOOL_FAILED: far_refuse: ")
        assert stepped["stdout"].endswith("not today\n")
        over = {"budgets": {"max_tool_calls": 0}}
        other = client.post(f"/v1/sessions/{session_id}/executions/runtime", json=over).json()["execution_id"]
        code = {"code": "far_echo('a')"}
        stepped = client.post(f"/v1/executions/{other}/steps", json=code).json()
        assert "0 of 0 tool calls used" in stepped["error"]["message"]
