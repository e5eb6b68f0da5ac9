"""Both sources of custom tools keep the contract."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

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
