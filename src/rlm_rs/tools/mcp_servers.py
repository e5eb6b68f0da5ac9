"""Tools of MCP servers, started or connected to when they are first needed (Model Context Protocol)."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import IO, Any, TextIO, cast

import httpx2
from anyio import BrokenResourceError, ClosedResourceError
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CONNECTION_CLOSED, CallToolResult, TextContent, Tool

from rlm_rs.core.errors import ToolFailed, ValidationFailed
from rlm_rs.sandbox.protocol import ToolDescription
from rlm_rs.tools.functions import SIGNATURE_CHARS, checked_name, first_line

START_SECONDS = 30.0
CLOSE_SECONDS = 10.0
MAX_TOOLS = 200
MAX_PAGES = 100
LAST_WORDS_CHARS = 300
_AWAY = (OSError, httpx2.HTTPError, ClosedResourceError, BrokenResourceError)
_TYPES = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
}


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """Where an MCP server is: a command to start, talked to over its standard streams, or a URL."""

    name: str
    command: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Connection:
    """A task that holds the connection: what is opened in a task must be closed in the same one."""

    ready: asyncio.Future[Client]
    stop: asyncio.Event
    task: asyncio.Task[None]


class McpTools:
    """`core.ports.Tools` over one MCP server. Its tools are called `<server>_<tool>`.

    start_seconds: how long it may take to start, and then to say which tools it has. close_seconds: how long
    it may take to end before it is cut off.
    """

    def __init__(
        self,
        place: ServerPlace,
        start_seconds: float = START_SECONDS,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self._place = place
        self._start_seconds = start_seconds
        self._close_seconds = close_seconds
        self._connection: _Connection | None = None
        self._names: dict[str, str] = {}
        self._described: tuple[ToolDescription, ...] | None = None
        self._said = ""

    async def describe(self) -> Sequence[ToolDescription]:
        """Every tool of the server, as it was when first asked. Raises `ToolFailed`."""
        if self._described is None:
            client = await self._client()
            try:
                async with asyncio.timeout(self._start_seconds):
                    tools = await self._listed(client)
                names = {self._name(tool): tool.name for tool in tools}
                described = tuple(checked_name(self._description(tool)) for tool in tools)
            except ValidationFailed:
                raise
            except Exception as error:  # the edge to a server that is not ours
                await self.close()
                raise self._unusable(f"its list of tools: {_in_words(error)}") from error
            self._names, self._described = names, described
        return self._described

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """What the tool returns: its structured content, else its text. Raises `ToolFailed`."""
        await self.describe()
        if name not in self._names:
            raise ToolFailed(tool=name, reason="the server has no such tool")
        client = await self._client()
        try:
            result = await client.call_tool(self._names[name], dict(arguments))
        except Exception as error:  # the edge to a server that is not ours
            if not _is_away(error):
                raise ToolFailed(tool=name, reason=_in_words(error)) from error
            # the next call connects anew
            await self.close()
            raise self._away(error) from error
        return _value(name, result)

    async def close(self) -> None:
        """End the connection, and the process if one was started."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.stop.set()
            # a server may leave even a farewell without an answer
            await asyncio.wait({connection.task}, timeout=self._close_seconds)
            connection.task.cancel()
            await asyncio.wait({connection.task}, timeout=self._close_seconds)

    async def _client(self) -> Client:
        if self._connection is None or self._connection.task.done():
            ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
            stop = asyncio.Event()
            task = asyncio.create_task(self._held(ready, stop))
            self._connection = _Connection(ready, stop, task)
        return await asyncio.shield(self._connection.ready)

    async def _held(self, ready: asyncio.Future[Client], stop: asyncio.Event) -> None:
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(self._start_seconds):
                    client = await stack.enter_async_context(await self._opened(stack))
                ready.set_result(client)
                await stop.wait()
        except Exception as error:  # noqa: BLE001 - the edge to a process that is not ours
            if not ready.done():
                ready.set_exception(self._away(error))
        finally:
            if not ready.done():
                # ended from outside while it started
                ready.set_exception(self._unusable("it was closed"))

    async def _opened(self, stack: AsyncExitStack) -> Client:
        place = self._place
        if place.url is None:
            command = StdioServerParameters(
                command=place.command or "", args=list(place.args), env=dict(place.env)
            )
            # the user's terminal is not the place for what the process says on standard error
            told = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
            stack.enter_context(told)
            stack.callback(self._keep_last_words, told)
            return Client(stdio_client(command, errlog=cast(TextIO, told)))
        http = await stack.enter_async_context(httpx2.AsyncClient(headers=dict(place.headers), timeout=None))
        return Client(streamable_http_client(place.url, http_client=http))

    async def _listed(self, client: Client) -> list[Tool]:
        found: list[Tool] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            found += page.tools
            if (cursor := page.next_cursor) is None or len(found) >= MAX_TOOLS:
                break
        return found[:MAX_TOOLS]

    def _name(self, tool: Tool) -> str:
        return re.sub(r"\W", "_", f"{self._place.name}_{tool.name}")

    def _description(self, tool: Tool) -> ToolDescription:
        properties = tool.input_schema.get("properties") or {}
        required = [name for name in tool.input_schema.get("required") or () if name in properties]
        params = (*required, *(name for name in properties if name not in required))
        shown = ", ".join(_parameter(name, properties[name], name in required) for name in params)
        return ToolDescription(
            name=self._name(tool),
            params=params,
            required=tuple(required),
            positional=len(params),
            signature=f"({shown})"[:SIGNATURE_CHARS],
            doc=first_line(tool.description),
            version=self._place.name,
        )

    def _keep_last_words(self, told: IO[str]) -> None:
        told.seek(0)
        lines = told.read().split("\n")
        self._said = next((line.strip() for line in reversed(lines) if line.strip()), "")[:LAST_WORDS_CHARS]

    def _away(self, error: BaseException) -> ToolFailed:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        return self._unusable(self._said or _in_words(error))

    def _unusable(self, reason: str) -> ToolFailed:
        place = self._place.url or " ".join((self._place.command or "", *self._place.args))
        return ToolFailed(
            tool=f"MCP server {self._place.name}",
            reason=f"{place} cannot be used: {reason}",
            server=self._place.name,
        )


def _is_away(error: Exception) -> bool:
    closed = isinstance(error, MCPError) and error.code == CONNECTION_CLOSED
    return closed or isinstance(error, _AWAY)


def _in_words(error: BaseException) -> str:
    """What went wrong, in one line."""
    if isinstance(error, TimeoutError):
        return "it does not answer"
    return " ".join(str(error).split())[:LAST_WORDS_CHARS] or type(error).__name__


def _parameter(name: str, schema: Any, required: bool) -> str:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    typed = f"{name}: {_TYPES[kind]}" if isinstance(kind, str) and kind in _TYPES else name
    return typed if required else f"{typed} = …"


def _value(name: str, result: CallToolResult) -> Any:
    texts = [block.text for block in result.content if isinstance(block, TextContent)]
    if result.is_error:
        raise ToolFailed(tool=name, reason="\n".join(texts) or "it failed without a word")
    structured = result.structured_content
    if structured is None:
        return "\n".join(texts)
    # how the protocol wraps what is no object
    wrapped = isinstance(structured, dict) and structured.keys() == {"result"}
    return structured["result"] if wrapped else structured
