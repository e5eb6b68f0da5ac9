"""Both sources of custom tools keep the contract."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from rlm_rs.core.errors import ToolFailed
from rlm_rs.core.ports import Tools
from rlm_rs.testing.tools_contract import ToolsContract
from rlm_rs.tools.functions import FunctionTools
from rlm_rs.tools.mcp_servers import McpTools, ServerPlace
from rlm_rs.tools.together import ToolsTogether


def echo(text: str, times: int = 1) -> dict[str, str]:
    """Say it.

    As often as you like.
    """
    return {"said": text * times}


async def refuse() -> None:
    raise RuntimeError("not today")


class TestFunctions(ToolsContract):
    @pytest.fixture
    def tools(self) -> Tools:
        return FunctionTools([echo, refuse])


class TestSeveralTogether(ToolsContract):
    @pytest.fixture
    def tools(self) -> Tools:
        return ToolsTogether([FunctionTools([echo]), FunctionTools([refuse])])


class TestMcpServer(ToolsContract):
    prefix = "far_"

    @pytest.fixture
    def tools(self) -> Tools:
        server = str(Path(__file__).with_name("mcp_echo.py"))
        return McpTools(ServerPlace("far", command=sys.executable, args=(server,)))


class TestRudeMcpServers:
    """Whatever somebody else's server does is `ToolFailed`, in one line, and in time."""

    @staticmethod
    def rude(how: str, start_seconds: float = 20.0, close_seconds: float = 10.0) -> McpTools:
        server = str(Path(__file__).with_name("mcp_rude.py"))
        place = ServerPlace("rude", command=sys.executable, args=(server, how))
        return McpTools(place, start_seconds, close_seconds)

    async def test_a_result_against_the_protocol_fails_its_call_alone(self) -> None:
        tools = self.rude("tools")
        for name in ("shapeless", "malformed"):
            with pytest.raises(ToolFailed, match=f"^rude_{name}: ") as raised:
                await tools.call(f"rude_{name}", {})
            assert "\n" not in raised.value.message
        assert await tools.call("rude_fine", {}) == "well"
        await tools.close()

    @pytest.mark.parametrize(
        ("how", "said"),
        [("error", "no list today"), ("malformed", "ListToolsResult"), ("schema", "ListToolsResult")],
    )
    async def test_a_list_that_is_none_is_said(self, how: str, said: str) -> None:
        tools = self.rude(how)
        for asked in (tools.describe(), tools.call("rude_fine", {})):
            with pytest.raises(
                ToolFailed, match=f"^MCP server rude: .*its list of tools: .*{said}"
            ) as raised:
                await asked
            assert "\n" not in raised.value.message
        await tools.close()

    async def test_a_list_that_never_comes_is_not_awaited_for_ever(self) -> None:
        tools = self.rude("silent", start_seconds=2.0)
        with pytest.raises(ToolFailed, match="it does not answer"):
            await tools.describe()
        await tools.close()

    async def test_a_list_without_an_end_ends(self) -> None:
        tools = self.rude("endless")
        assert await tools.describe() == ()
        await tools.close()

    async def test_one_that_is_closed_while_it_starts_leaves_nobody_waiting(self) -> None:
        tools = self.rude("mute", start_seconds=60.0, close_seconds=0.1)
        waiting = asyncio.create_task(tools.describe())
        await asyncio.sleep(0.2)
        await tools.close()
        with pytest.raises(ToolFailed, match="it was closed"):
            async with asyncio.timeout(20):
                await waiting
