"""The MCP server: the engine as tools of the assistants people use already, over stdio and over HTTP."""
