"""Blobs on obstore: a directory, memory, or any bucket it can open, behind the same `s3://` URIs."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore, MemoryStore, ObjectStore

from rlm_rs.core.errors import BlobChanged, BlobNotFound, ValidationFailed

if TYPE_CHECKING:
    from obstore import GetResult

SCHEME = "s3://"
STAGING = ".staging"
"""Where a directory's objects are written before they get their names; never a bucket."""

MAX_PART_BYTES = 240
MAX_KEY_BYTES = 1024
# what object_store cannot name in a directory: control characters, and its own suffix of unfinished objects
_UNNAMEABLE = re.compile(r"[\x00-\x1f\x7f]|#\d+$")


class StoreBlobs:
    """`core.ports.Blobs` over one obstore store; the bucket is the first part of the key."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def place(self, uri: str) -> tuple[ObjectStore, str]:
        """The store an object lies in, and its key there. Raises `ValidationFailed`."""
        return self._store, key_of(uri)

    def place_of_prefix(self, prefix: str) -> tuple[ObjectStore, str, str]:
        """The store a prefix lies in, its key there, and what stands before keys in this store's URIs."""
        return self._store, prefix_of(prefix), SCHEME

    async def put(self, uri: str, data: bytes) -> None:
        try:
            await obstore.put_async(*self.place(uri), data, mode="create")
        except AlreadyExistsError:
            # immutable: the same URI always stands for the same content
            return

    async def put_file(self, uri: str, path: Path) -> None:
        if not await self._exists(uri):
            await obstore.put_async(*self.place(uri), path)

    async def put_folder(self, prefix: str, folder: Path) -> None:
        prefix_of(prefix)
        for path in await asyncio.to_thread(lambda: sorted(folder.iterdir())):
            await self.put_file(prefix + path.name, path)

    async def get(self, uri: str, start: int = 0, length: int | None = None) -> bytes:
        store, key = self.place(uri)
        try:
            if length is None and start == 0:
                return bytes(await (await obstore.get_async(store, key)).bytes_async())
            size = (await obstore.head_async(store, key))["size"]
            end = size if length is None else min(size, start + length)
            if start >= end:
                return b""
            return bytes(await obstore.get_range_async(store, key, start=start, end=end))
        except FileNotFoundError as error:
            raise BlobNotFound(uri=uri) from error

    async def size(self, uri: str) -> int:
        try:
            return int((await obstore.head_async(*self.place(uri)))["size"])
        except FileNotFoundError as error:
            raise BlobNotFound(uri=uri) from error

    async def stream(
        self,
        uri: str,
        chunk_bytes: int = 8 << 20,
        version_id: str | None = None,
        etag: str | None = None,
    ) -> AsyncIterator[bytes]:
        result = await self._named(uri, version_id, etag)
        async for chunk in result.stream(min_chunk_size=chunk_bytes):
            yield bytes(chunk)

    async def _named(self, uri: str, version_id: str | None, etag: str | None) -> GetResult:
        """The object with that version and ETag. Raises `BlobNotFound`, `BlobChanged`."""
        if version_id is not None:
            await self.size(uri)
            raise BlobChanged(uri=uri, reason="this store keeps no versions of objects")
        if etag is not None and await self._md5(uri) != bare_etag(etag).lower():
            raise BlobChanged(uri=uri, reason=f"its ETag is not {bare_etag(etag)}")
        try:
            return await obstore.get_async(*self.place(uri))
        except FileNotFoundError as error:
            raise BlobNotFound(uri=uri) from error

    async def _md5(self, uri: str) -> str:
        """The ETag that S3 gives an object that comes in one piece."""
        digest = hashlib.md5(usedforsecurity=False)
        async for chunk in self.stream(uri):
            await asyncio.to_thread(digest.update, chunk)
        return digest.hexdigest()

    async def list(self, prefix: str) -> Sequence[str]:
        store, inside, before = self.place_of_prefix(prefix)
        found: list[str] = []
        async for batch in obstore.list(store, prefix=inside):
            found += [before + item["path"] for item in batch]
        return sorted(found)

    async def delete(self, uri: str) -> None:
        with suppress(FileNotFoundError):
            await obstore.delete_async(*self.place(uri))

    async def delete_prefix(self, prefix: str) -> None:
        found = [self.place(uri) for uri in await self.list(prefix)]
        if found:
            await obstore.delete_async(found[0][0], [key for _, key in found])

    def local_path(self, uri: str) -> Path | None:
        key_of(uri)
        return None

    async def _exists(self, uri: str) -> bool:
        try:
            await self.size(uri)
        except BlobNotFound:
            return False
        return True


class MemoryBlobs(StoreBlobs):
    """Blobs that end with the process."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())


class DirectoryBlobs(StoreBlobs):
    """Blobs as files of one directory: the embedded default.

    `put` is on disk when it returns, and what stands under its name is whole even after a power cut.
    `put_file` moves the file in without forcing it to disk: it carries what can be made again from its
    source, and its checksum tells.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.resolve()
        self._staging = self._directory / STAGING
        self._staging.mkdir(parents=True, exist_ok=True)
        super().__init__(LocalStore(prefix=self._directory))

    async def put(self, uri: str, data: bytes) -> None:
        await asyncio.to_thread(self._put, self._directory / key_of(uri), data)

    async def put_file(self, uri: str, path: Path) -> None:
        await asyncio.to_thread(self._put_file, self._directory / key_of(uri), path)

    async def put_folder(self, prefix: str, folder: Path) -> None:
        if not await asyncio.to_thread(_folder_moved, folder, self._directory / prefix_of(prefix)):
            await super().put_folder(prefix, folder)

    async def delete_prefix(self, prefix: str) -> None:
        await asyncio.to_thread(_removed, self._directory / prefix_of(prefix))

    def local_path(self, uri: str) -> Path | None:
        path = self._directory / key_of(uri)
        return path if path.is_file() else None

    def _put(self, target: Path, data: bytes) -> None:
        if not target.is_file():
            self._put_new(target, data)
        self._names_to_disk(target)

    def _put_new(self, target: Path, data: bytes) -> None:
        staged = self._staging / uuid4().hex
        try:
            with staged.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _named(staged, target)
        finally:
            staged.unlink(missing_ok=True)

    def _put_file(self, target: Path, source: Path) -> None:
        if target.is_file():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.replace(source, target)
        except OSError:
            # another file system: copy within this one first, so that the last move is atomic
            staged = self._staging / uuid4().hex
            shutil.copyfile(source, staged)
            os.replace(staged, target)

    def _names_to_disk(self, target: Path) -> None:
        for folder in target.parents:
            _to_disk(folder)
            if folder == self._directory:
                return


def bare_etag(etag: str) -> str:
    """An ETag without what HTTP puts around it."""
    return etag.removeprefix("W/").strip('"')


def key_of(uri: str) -> str:
    """`bucket/key` of an object's URI. Raises `ValidationFailed` for what no store can name alike."""
    key = _plain(uri)
    if "/" not in key:
        raise ValidationFailed(reason=f"{uri!r} names a bucket, not an object in it")
    return key


def prefix_of(uri: str) -> str:
    """`bucket/…/` of a URI prefix. Raises `ValidationFailed` if it does not end in `/`."""
    if not uri.endswith("/"):
        raise ValidationFailed(reason=f"{uri!r}: a prefix ends in /")
    return _plain(uri[:-1]) + "/"


def _plain(uri: str) -> str:
    if not uri.startswith(SCHEME):
        raise ValidationFailed(reason=f"{uri!r} is not an s3:// URI")
    key = uri.removeprefix(SCHEME)
    parts = key.split("/")
    if not all(map(_nameable, parts)) or parts[0] == STAGING or len(os.fsencode(key)) > MAX_KEY_BYTES:
        raise ValidationFailed(reason=f"{uri[:200]!r} is not a plain s3://bucket/key URI")
    return key


def _nameable(part: str) -> bool:
    try:
        size = len(part.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= MAX_PART_BYTES and part not in (".", "..") and not _UNNAMEABLE.search(part)


def _folder_moved(source: Path, target: Path) -> bool:
    """Move a whole folder at once; False where that cannot be done, because it exists or lies elsewhere."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(source, target)
    except OSError:
        return False
    return True


def _named(staged: Path, target: Path) -> None:
    """Give a staged file its name, unless something has it already."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(staged, target)
    except FileExistsError:
        return
    except OSError:
        # a file system without hard links: objects are immutable, so the same content may replace itself
        os.replace(staged, target)


def _removed(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return


def _to_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
