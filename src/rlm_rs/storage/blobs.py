"""Blobs on obstore: a directory, memory, or any bucket it can open, behind the same `s3://` URIs."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore, MemoryStore, ObjectStore

from rlm_rs.core.errors import BlobNotFound, ValidationFailed

SCHEME = "s3://"


class StoreBlobs:
    """`core.ports.Blobs` over one obstore store; the bucket is the first part of the key."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def put(self, uri: str, data: bytes) -> None:
        try:
            await obstore.put_async(self._store, key_of(uri), data, mode="create")
        except AlreadyExistsError:
            # immutable: the same URI always stands for the same content
            return

    async def put_file(self, uri: str, path: Path) -> None:
        await obstore.put_async(self._store, key_of(uri), path)

    async def get(self, uri: str, start: int = 0, length: int | None = None) -> bytes:
        key = key_of(uri)
        try:
            if length is None and start == 0:
                return bytes(await (await obstore.get_async(self._store, key)).bytes_async())
            size = (await obstore.head_async(self._store, key))["size"]
            end = size if length is None else min(size, start + length)
            if start >= end:
                return b""
            return bytes(await obstore.get_range_async(self._store, key, start=start, end=end))
        except FileNotFoundError as error:
            raise BlobNotFound(uri=uri) from error

    async def size(self, uri: str) -> int:
        try:
            return int((await obstore.head_async(self._store, key_of(uri)))["size"])
        except FileNotFoundError as error:
            raise BlobNotFound(uri=uri) from error

    async def stream(self, uri: str, chunk_bytes: int = 8 << 20) -> AsyncIterator[bytes]:
        try:
            result = await obstore.get_async(self._store, key_of(uri))
        except FileNotFoundError as error:
            raise BlobNotFound(uri=uri) from error
        async for chunk in result.stream(min_chunk_size=chunk_bytes):
            yield bytes(chunk)

    async def list(self, prefix: str) -> Sequence[str]:
        found: list[str] = []
        async for batch in obstore.list(self._store, prefix=key_of(prefix)):
            found += [SCHEME + item["path"] for item in batch]
        return sorted(found)

    async def delete_prefix(self, prefix: str) -> None:
        keys = [key_of(uri) for uri in await self.list(prefix)]
        if keys:
            await obstore.delete_async(self._store, keys)

    def local_path(self, uri: str) -> Path | None:
        return None


class MemoryBlobs(StoreBlobs):
    """Blobs that end with the process."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())


class DirectoryBlobs(StoreBlobs):
    """Blobs as files of one directory: the embedded default.

    `put` is on disk when it returns. `put_file` moves the file in without forcing it to disk: it carries
    what can be made again from its source, and its checksum tells.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        super().__init__(LocalStore(prefix=directory))
        self._directory = directory

    async def put(self, uri: str, data: bytes) -> None:
        await super().put(uri, data)
        await asyncio.to_thread(_to_disk, self._path(uri))

    async def put_file(self, uri: str, path: Path) -> None:
        await asyncio.to_thread(_moved, path, self._path(uri))

    async def delete_prefix(self, prefix: str) -> None:
        await asyncio.to_thread(shutil.rmtree, self._path(prefix), True)

    def local_path(self, uri: str) -> Path | None:
        path = self._path(uri)
        return path if path.is_file() else None

    def _path(self, uri: str) -> Path:
        return self._directory / key_of(uri)


def key_of(uri: str) -> str:
    """`bucket/key` of an `s3://` URI. Raises `ValidationFailed` for anything that could leave the store."""
    if not uri.startswith(SCHEME):
        raise ValidationFailed(reason=f"{uri}: not an s3:// URI")
    key = uri.removeprefix(SCHEME)
    if any(part in ("", ".", "..") for part in key.rstrip("/").split("/")) or "\0" in key:
        raise ValidationFailed(reason=f"{uri}: not a plain s3://bucket/key URI")
    return key


def _to_disk(path: Path) -> None:
    for target in (path, path.parent):
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _moved(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(source, target)
    except OSError:
        # another file system: copy beside the target, so that the last move is atomic
        beside = target.with_name(target.name + ".part")
        shutil.copyfile(source, beside)
        os.replace(beside, target)
