"""Custom tools: functions the caller hands in, and MCP servers that the settings or the caller name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rlm_rs.core.errors import SettingInvalid, ValidationFailed
from rlm_rs.core.ports import Tools
from rlm_rs.orchestrator.ports import NO_TOOLS
from rlm_rs.settings import McpServer, Settings


def make_tools(settings: Settings, functions: Sequence[Callable[..., Any]]) -> Tools:
    """The tools there are. Nothing is started yet. Raises `ValidationFailed`, `SettingInvalid`."""
    from rlm_rs.tools.functions import FunctionTools
    from rlm_rs.tools.together import ToolsTogether

    if not functions and not settings.mcp_servers:
        return NO_TOOLS
    servers = [_server(name, server) for name, server in settings.mcp_servers.items()]
    return ToolsTogether([FunctionTools(functions), *servers])


def mcp_servers(named: Mapping[str, Any]) -> dict[str, McpServer]:
    """MCP servers from what a caller says of them. Raises `ValidationFailed`."""
    try:
        return TypeAdapter(dict[str, McpServer]).validate_python(dict(named))
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in found["loc"])
        raise ValidationFailed(reason=f"mcp_servers: {place}: {found['msg']}") from error


def _server(name: str, server: McpServer) -> Tools:
    if not name.isidentifier():
        raise SettingInvalid(
            variable="MCP_SERVERS", value=name, reason="a server's name must be one that code can spell."
        )
    try:
        from rlm_rs.tools.mcp_servers import McpTools, ServerPlace
    except ModuleNotFoundError as error:
        raise SettingInvalid(
            variable="MCP_SERVERS", value=name, reason=f"{error.name} is missing: install rlm-rs[mcp]."
        ) from error
    return McpTools(
        ServerPlace(name, server.command, tuple(server.args), server.env, server.url, server.headers)
    )
