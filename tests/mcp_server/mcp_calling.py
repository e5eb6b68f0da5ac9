"""The official client, against a server in this process or in one of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult, TextContent

from rlm_rs.core.ports import ModelProvider
from rlm_rs.core.records import ExecutionRecord
from rlm_rs.mcp.embedded import EmbeddedEngine
from rlm_rs.mcp.engines import embedded_engine
from rlm_rs.mcp.host import Files, Host
from rlm_rs.mcp.roots import Roots
from rlm_rs.mcp.server import build
from rlm_rs.settings import Settings

LEASE = (
    "This lease runs for three years. The Tenant may end this lease for convenience at any time after the "
    "first anniversary by giving six months' written notice.\n"
)
QUESTION = "How can the lease be ended for convenience?"
READ_ALL = "```repl\nFINAL('|'.join(doc.name + '=' + doc[:] for doc in context))\n```"


@asynccontextmanager
async def serving(
    data_dir: Path, *folders: Path, provider: ModelProvider | None = None, **client: Any
) -> AsyncIterator[tuple[Client, EmbeddedEngine]]:
    """A client of a server in this process, and the server's engine."""
    settings = Settings(rlm_data_dir=data_dir, llm_provider="fake", parser_workers=1)
    async with embedded_engine(settings, provider) as (engine, spool):
        assert isinstance(engine, EmbeddedEngine)
        host = Host(lambda request, scope: engine, Files(Roots.of(folders).folders, spool))
        async with Client(build(host), **client) as connected:
            yield connected, engine


def program(data_dir: Path, *folders: Path, **env: str) -> StdioServerParameters:
    """`rlm mcp` as a process, as a client starts it."""
    roots = [argument for folder in folders for argument in ("--root", str(folder))]
    return StdioServerParameters(
        command=sys.executable,
        args=["-P", "-m", "rlm_rs", "mcp", "--data-dir", str(data_dir), *roots],
        env={"HOME": str(data_dir), "PATH": os.environ["PATH"], "PARSER_WORKERS": "1", **env},
    )


def text_of(result: CallToolResult) -> str:
    """What a reader is given."""
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def given(result: CallToolResult) -> dict[str, Any]:
    """The structured result of a call that went well."""
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    assert text_of(result)
    return result.structured_content


def refused(result: CallToolResult) -> str:
    """The words of a call that did not."""
    assert result.is_error, result.structured_content
    return text_of(result)


async def executions_of(engine: EmbeddedEngine) -> list[ExecutionRecord]:
    """All executions, newest first."""
    rows, _ = await engine.service.ports.catalog.list_executions(engine.tenant_id, 100)
    return list(rows)
