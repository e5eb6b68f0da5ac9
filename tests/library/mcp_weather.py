"""An MCP server of two tools, over standard streams, or over HTTP on the port named."""

from __future__ import annotations

import os
import sys

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("weather")


@server.tool()
def forecast(city: str, days: int = 1) -> dict[str, object]:
    """The weather to come.

    More that is not shown.
    """
    if city == "Atlantis":
        raise ToolError("it is under water")
    return {"city": city, "days": days, "sky": "clear"}


@server.tool(name="place-count", structured_output=False)
def place_count() -> str:
    """How many places there are."""
    return "12"


@server.tool()
def environment(name: str) -> str | None:
    """A variable of the environment."""
    return os.environ.get(name)


@server.tool()
def leave() -> None:
    """End the server."""
    os._exit(1)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]))
    else:
        server.run("stdio")
