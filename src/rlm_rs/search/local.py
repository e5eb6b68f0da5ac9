"""Indexes at hand: fetched from the blob store into a folder, open, and no more of either than is allowed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import BlobNotFound, SearchFailed, SearchNotReady
from rlm_rs.core.ports import Blobs
from rlm_rs.search.segments import OpenIndex, write_meta

MANIFEST = "index.json"


@dataclass(frozen=True, slots=True)
class LocalLimits:
    """open: indexes of this process open at once. disk_bytes: fetched indexes kept, of all processes."""

    open: int = 16
    disk_bytes: int = 2 << 30


class LocalIndexes:
    """Opens indexes by where they lie in the blob store. One instance serves one event loop.

    Where blobs are files of this machine nothing is copied: the folder has links to them.
    """

    def __init__(self, blobs: Blobs, directory: Path, limits: LocalLimits | None = None) -> None:
        self._blobs = blobs
        self._directory = directory
        self._limits = limits or LocalLimits()
        self._open: OrderedDict[str, OpenIndex] = OrderedDict()
        self._opening: dict[str, asyncio.Lock] = {}

    async def opened(self, corpus: Corpus, prefix: str, identity: str) -> OpenIndex:
        """The index below a URI prefix. Raises `SearchNotReady` where there is none, and `SearchFailed`."""
        try:
            async with self._opening.setdefault(prefix, asyncio.Lock()):
                known = self._open.get(prefix)
                if known is None:
                    known = await self._open_now(self._folder(corpus) / identity, prefix)
                    self._open[prefix] = known
        finally:
            if prefix not in self._open:
                self._opening.pop(prefix, None)
        self._open.move_to_end(prefix)
        while len(self._open) > self._limits.open:
            self._opening.pop(self._open.popitem(last=False)[0], None)
        return known

    async def forget(self, tenant_id: str, session_id: str, prefix: str) -> None:
        """Let go of every index of a session, whose indexes lie below a URI prefix."""
        for name in [name for name in self._open if name.startswith(prefix)]:
            del self._open[name]
            self._opening.pop(name, None)
        folder = self._folder(Corpus(tenant_id, session_id, ()))
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def close(self) -> None:
        """Close all of them."""
        self._open.clear()
        self._opening.clear()

    def _folder(self, corpus: Corpus) -> Path:
        owner = hashlib.sha256(f"{corpus.tenant_id}\0{corpus.session_id}".encode()).hexdigest()
        return self._directory / owner[:32]

    async def _open_now(self, folder: Path, prefix: str) -> OpenIndex:
        manifest = await self._manifest(prefix)
        for _ in range(2):
            if not await asyncio.to_thread(folder.is_dir):
                await self._fetch(folder, prefix, manifest)
            try:
                index = await asyncio.to_thread(OpenIndex, folder)
            except (ValueError, OSError) as error:
                # another process made room, or what the links point to has moved: fetch it anew
                reason = str(error)
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
                continue
            await asyncio.to_thread(self._make_room, folder)
            return index
        raise SearchFailed(reason=f"the index cannot be opened ({reason})")

    async def _manifest(self, prefix: str) -> dict[str, Any]:
        try:
            manifest: dict[str, Any] = orjson.loads(await self._blobs.get(prefix + MANIFEST))
        except BlobNotFound:
            raise SearchNotReady from None
        return manifest

    async def _fetch(self, folder: Path, prefix: str, manifest: dict[str, Any]) -> None:
        arriving = self._directory / f"arriving_{uuid4().hex}"
        await asyncio.to_thread(arriving.mkdir, parents=True)
        try:
            for part in manifest["parts"]:
                for name in part["files"]:
                    await self._fetch_file(f"{prefix}{part['folder']}/{name}", arriving / name)
            write_meta(arriving, [part["meta"] for part in manifest["parts"]])
            folder.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):
                # who comes second uses what is there
                os.rename(arriving, folder)
        except BlobNotFound:
            raise SearchNotReady from None
        finally:
            await asyncio.to_thread(shutil.rmtree, arriving, ignore_errors=True)

    async def _fetch_file(self, uri: str, path: Path) -> None:
        local = self._blobs.local_path(uri)
        if local is not None:
            await asyncio.to_thread(path.symlink_to, local)
            return
        with path.open("xb") as file:
            async for chunk in self._blobs.stream(uri):
                await asyncio.to_thread(file.write, chunk)

    def _make_room(self, used: Path) -> None:
        """Remove the indexes that were used longest ago where there are too many bytes of them."""
        with suppress(OSError):
            # it may be gone, or another user's: then only its turn comes earlier
            os.utime(used)
        folders = sorted(self._directory.glob("*/*/"), key=_used_at, reverse=True)
        total = 0
        for folder in folders:
            total += sum(_size(path) for path in folder.glob("*"))
            if total > self._limits.disk_bytes and folder != used:
                shutil.rmtree(folder, ignore_errors=True)


def _used_at(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def parts_of(manifests: Sequence[bytes]) -> bytes:
    """The manifest of an index from those of its parts."""
    return orjson.dumps({"parts": [orjson.loads(manifest) for manifest in manifests]})
