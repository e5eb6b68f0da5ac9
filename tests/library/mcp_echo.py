"""An MCP server over standard streams with the tools of `ToolsContract`."""

from __future__ import annotations

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("echo")


@server.tool()
def echo(text: str, times: int = 1) -> dict[str, str]:
    """Say it."""
    return {"said": text * times}


@server.tool()
def refuse() -> None:
    """Say no."""
    raise ToolError("not today")


if __name__ == "__main__":
    server.run("stdio")
