"""From paths that a client names to a session over their documents."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from mcp.server.mcpserver import Context, ListRoots, Resolve
from mcp_types import ListRootsResult

from rlm_rs.api.schemas import DocumentBody, SessionBody
from rlm_rs.core.corpus import Source
from rlm_rs.core.errors import ValidationFailed
from rlm_rs.core.records import MAX_DOCUMENTS
from rlm_rs.mcp.engine import Engine
from rlm_rs.mcp.host import Files, Host, Opened, host_of
from rlm_rs.mcp.roots import Roots
from rlm_rs.orchestrator.sessions import fingerprint_of
from rlm_rs.wiring.sources import find_sources

TTL_MINUTES = 30 * 24 * 60
"""How long a session lives that was made of paths: long enough to go on next week."""

AT_ONCE = 4
MAX_NAME_CHARS = 1024
UNREAD_SHOWN = 10


class NoFiles(ValidationFailed):
    """This server reads no local files: it may be another machine. Send documents with POST /v1/uploads, make
    a session of them with rlm_create_session, and give its session_id."""


async def client_roots(paths: list[str] | None, ctx: Context) -> ListRoots | ListRootsResult:
    """The folders the client says it works in, asked for only when a call names paths.

    Clients of revision 2026-07-28 are asked by having them call again with the answer; earlier ones directly.
    """
    capabilities = ctx.client_capabilities
    if paths and host_of(ctx).files and capabilities is not None and capabilities.roots is not None:
        return ListRoots()
    return ListRootsResult(roots=[])


ClientRoots = Annotated[ListRootsResult, Resolve(client_roots)]


async def opened(paths: Sequence[str], roots: ListRootsResult, engine: Engine, host: Host) -> Opened:
    """The session of what these paths hold now: one made before, or a new one, perhaps still being read in.

    Raises `OutsideRoots`, `NoFiles`, `SourceNotFound`, `ValidationFailed`.
    """
    key = opening_key(paths, roots)
    return await host.opening(key, lambda: _made(paths, fence_of(roots, host), engine, host))


def opening_key(paths: Sequence[str], roots: ListRootsResult) -> object:
    """What tells one opening from another."""
    return tuple(paths), tuple(str(root.uri) for root in roots.roots)


def fence_of(roots: ListRootsResult, host: Host) -> Roots:
    """What the caller may name. Raises `NoFiles`."""
    return _files_of(host).roots([str(root.uri) for root in roots.roots])


def _files_of(host: Host) -> Files:
    if host.files is None:
        raise NoFiles
    return host.files


async def _made(paths: Sequence[str], fence: Roots, engine: Engine, host: Host) -> Opened:
    async with _found(paths, fence, host) as found:
        fingerprint = f"mcp:{(await fingerprint_of(found, '')).whole}"
        known = await engine.find_session(fingerprint)
        if known is not None:
            return known.session_id, _unread(found)
        docs = await _stored(found, engine)
        made = await engine.create_session(SessionBody(ttl_minutes=TTL_MINUTES, docs=docs), fingerprint)
        return made.session_id, _unread(found)


async def stored_files(
    paths: Sequence[str], roots: ListRootsResult, engine: Engine, host: Host
) -> list[DocumentBody]:
    """The documents that these paths stand for, each kept as an upload. Raises as `opened` does."""
    async with _found(paths, fence_of(roots, host), host) as found:
        return await _stored(found, engine)


@asynccontextmanager
async def _found(paths: Sequence[str], fence: Roots, host: Host) -> AsyncIterator[list[Source]]:
    """The files these paths stand for, as copies that are there for the time being."""
    spool = await asyncio.to_thread(_spool, _files_of(host).spool)
    try:
        named = [fence.named(path) for path in paths]
        yield await asyncio.to_thread(find_sources, named, spool, None, fence)
    finally:
        await asyncio.to_thread(shutil.rmtree, spool, ignore_errors=True)


async def _stored(found: Sequence[Source], engine: Engine) -> list[DocumentBody]:
    readable = [source for source in found if source.failure is None]
    if not readable:
        raise ValidationFailed(reason=f"Nothing of this can be read. {'; '.join(_unread(found))}")
    if len(readable) > MAX_DOCUMENTS:
        raise ValidationFailed(
            reason=f"{len(readable):,} documents are more than a session holds ({MAX_DOCUMENTS:,})."
        )
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(source: Source) -> DocumentBody:
        async with slots:
            uri = await engine.store(source.source_name, source.path)
        name = source.source_name[-MAX_NAME_CHARS:]
        return DocumentBody(source_name=name, mime_type=source.mime_type, raw_s3_uri=uri)

    return list(await asyncio.gather(*(one(source) for source in readable)))


def _spool(parent: Path) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=parent))


def _unread(found: Sequence[Source]) -> list[str]:
    lines = [f"{source.source_name}: {source.failure.message}" for source in found if source.failure]
    left = len(lines) - UNREAD_SHOWN
    return [*lines[:UNREAD_SHOWN], *([f"and {left} more"] if left > 0 else [])]
