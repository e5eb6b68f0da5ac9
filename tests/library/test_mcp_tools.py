"""The tools of a real MCP server, in a process of its own, called from step code."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlm_rs import RLM
from rlm_rs.core.errors import RlmError, SettingInvalid, ToolFailed, ValidationFailed
from rlm_rs.settings import load_settings
from rlm_rs.testing.models import ScriptedModel

SERVER = str(Path(__file__).with_name("mcp_weather.py"))
STDIO = {"command": sys.executable, "args": [SERVER], "env": {"PLACE": "here"}}
CODE = """```repl
seen = [weather_forecast('Oslo', days=2), weather_place_count(), weather_environment('PLACE')]
tries = [lambda: weather_forecast("Atlantis"), weather_forecast, lambda: weather_forecast("Oslo", "x")]
for attempt in tries:
    try:
        attempt()
    except Exception as error:
        seen.append(str(error))
FINAL(seen)
```"""


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    (tmp_path / "note.md").write_text("Oslo is in Norway.\n")
    return tmp_path / "note.md"


@pytest.fixture
def url() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, SERVER, str(port)], stderr=subprocess.DEVNULL)
    try:
        ends = time.monotonic() + 30
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < ends
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait(10)


def seen(servers: dict[str, Any], tmp_path: Path, paper: Path) -> tuple[list[Any], ScriptedModel]:
    model = ScriptedModel([CODE])
    with RLM(provider=model, data_dir=tmp_path / "data", mcp_servers=servers) as rlm:
        return json.loads(rlm.ask("How is the weather?", paper).text or ""), model


def test_a_server_over_standard_streams(tmp_path: Path, paper: Path) -> None:
    found, model = seen({"weather": STDIO}, tmp_path, paper)
    assert found[:3] == [{"city": "Oslo", "days": 2, "sky": "clear"}, "12", "here"]
    assert "it is under water" in found[3]
    assert found[4] == "weather_forecast(city: str, days: int = …) needs city"
    assert "TOOL_FAILED: weather_forecast: " in found[5]
    told = model.requests[0].messages[1].content
    assert "- weather_forecast(city: str, days: int = …): The weather to come." in told
    assert "- weather_place_count(): How many places there are." in told


def test_a_server_over_http(tmp_path: Path, paper: Path, url: str) -> None:
    found, _ = seen({"weather": {"url": url}}, tmp_path, paper)
    assert found[:3] == [{"city": "Oslo", "days": 2, "sky": "clear"}, "12", None]


def test_a_server_that_dies_is_a_failed_call_and_comes_back(tmp_path: Path, paper: Path) -> None:
    code = (
        "```repl\ntry:\n    weather_leave()\nexcept Exception as error:\n    why = str(error)\n"
        "FINAL([why, weather_place_count()])\n```"
    )
    with RLM(
        provider=ScriptedModel([code]), data_dir=tmp_path / "data", mcp_servers={"weather": STDIO}
    ) as rlm:
        why, count = json.loads(rlm.ask("How is the weather?", paper).text or "")
    assert why.startswith("TOOL_FAILED: ")
    assert count == "12"


@pytest.mark.parametrize(
    ("server", "error", "said"),
    [
        ({"command": "no-such-program-here"}, ToolFailed, "MCP server weather: no-such-program-here"),
        ({"url": "http://127.0.0.1:1/mcp"}, ToolFailed, "MCP server weather: http://127.0.0.1:1/mcp"),
        ({"command": sys.executable, "args": ["-c", "pass"]}, ToolFailed, "cannot be used"),
        ({"command": "x", "url": "y"}, ValidationFailed, "command or url"),
        ({"comand": "x"}, ValidationFailed, "comand"),
    ],
)
def test_a_server_that_cannot_be_used_is_one_clear_line(
    server: dict[str, Any], error: type[RlmError], said: str, tmp_path: Path, paper: Path
) -> None:
    with pytest.raises(error, match=said) as raised:
        seen({"weather": server}, tmp_path, paper)
    assert "\n" not in raised.value.message


def test_servers_are_named_in_the_configuration(
    tmp_path: Path, paper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "rlm.toml"
    config.write_text(f'[mcp_servers.weather]\ncommand = "{sys.executable}"\nargs = ["{SERVER}"]\n')
    monkeypatch.setenv("RLM_CONFIG", str(config))
    assert load_settings().mcp_servers["weather"].args == [SERVER]
    found, _ = seen({}, tmp_path, paper)
    assert found[1] == "12"
    monkeypatch.setenv("MCP_SERVERS", '{"not a name": {"command": "x"}}')
    with pytest.raises(SettingInvalid, match="MCP_SERVERS"):
        seen({}, tmp_path, paper)
