"""Blobs in S3, by obstore: one store for each bucket, opened when it is first asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, PreconditionError
from obstore.store import ObjectStore

from rlm_rs.core.errors import BlobChanged, BlobNotFound, StorageFailed
from rlm_rs.storage.blobs import SCHEME, StoreBlobs, bare_etag, key_of, prefix_of

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult

CODE = "<Code>"
NO_VERSION = ("InvalidArgument", "NoSuchVersion", "MethodNotAllowed")


class S3Blobs(StoreBlobs):
    """`core.ports.Blobs` in S3. `opened` makes the store of a bucket.

    Besides what the port says, every method raises `StorageFailed`: S3 refused, or could not be reached.
    """

    def __init__(self, opened: Callable[[str], ObjectStore]) -> None:
        self._opened = opened
        self._buckets: dict[str, ObjectStore] = {}

    def place(self, uri: str) -> tuple[ObjectStore, str]:
        bucket, _, key = key_of(uri).partition("/")
        return self._bucket(bucket), key

    def place_of_prefix(self, prefix: str) -> tuple[ObjectStore, str, str]:
        bucket, _, key = prefix_of(prefix).partition("/")
        return self._bucket(bucket), key, f"{SCHEME}{bucket}/"

    async def put(self, uri: str, data: bytes) -> None:
        with _in_words("a write", uri):
            await super().put(uri, data)

    async def put_file(self, uri: str, path: Path) -> None:
        with _in_words("a write", uri):
            await super().put_file(uri, path)

    async def get(self, uri: str, start: int = 0, length: int | None = None) -> bytes:
        with _in_words("a read", uri):
            if length == 0 or (start == 0 and length is None):
                return await super().get(uri, start, length)
            return await self._range(uri, start, length)

    async def size(self, uri: str) -> int:
        with _in_words("a read", uri):
            return await super().size(uri)

    async def stream(
        self,
        uri: str,
        chunk_bytes: int = 8 << 20,
        version_id: str | None = None,
        etag: str | None = None,
    ) -> AsyncIterator[bytes]:
        with _in_words("a read", uri):
            async for chunk in super().stream(uri, chunk_bytes, version_id, etag):
                yield chunk

    async def list(self, prefix: str) -> Sequence[str]:
        with _in_words("a list", prefix):
            return await super().list(prefix)

    async def delete(self, uri: str) -> None:
        with _in_words("a removal", uri):
            await super().delete(uri)

    async def delete_prefix(self, prefix: str) -> None:
        with _in_words("a removal", prefix):
            await super().delete_prefix(prefix)

    async def _range(self, uri: str, start: int, length: int | None) -> bytes:
        store, key = self.place(uri)
        wanted: GetOptions = {"range": {"offset": start} if length is None else (start, start + length)}
        try:
            # one request: S3 ends a range with the object itself
            return bytes(await (await obstore.get_async(store, key, options=wanted)).bytes_async())
        except FileNotFoundError as error:
            raise BlobNotFound(uri=uri) from error
        except BaseError:
            # the range begins past the end, which is an error there and an empty answer here
            if start < await self.size(uri):
                raise
            return b""

    async def _named(self, uri: str, version_id: str | None, etag: str | None) -> GetResult:
        store, key = self.place(uri)
        wanted: GetOptions = {}
        if version_id is not None:
            wanted["version"] = version_id
        if etag is not None:
            wanted["if_match"] = f'"{bare_etag(etag)}"'
        try:
            return await obstore.get_async(store, key, options=wanted)
        except PreconditionError as error:
            raise BlobChanged(uri=uri, reason=f"its ETag is not {bare_etag(etag or '')}") from error
        except (BaseError, FileNotFoundError) as error:
            if version_id is not None and (isinstance(error, FileNotFoundError) or _no_version(error)):
                # an object that is not there at all is not found; one that is has no such version
                await self.size(uri)
                raise BlobChanged(uri=uri, reason=f"it has no version {version_id}") from error
            if isinstance(error, FileNotFoundError):
                raise BlobNotFound(uri=uri) from error
            raise

    def _bucket(self, name: str) -> ObjectStore:
        if name not in self._buckets:
            self._buckets[name] = self._opened(name)
        return self._buckets[name]


def _no_version(error: BaseError) -> bool:
    """Whether S3 refused an id that no version can have, or that of a removal."""
    return any(f"{CODE}{code}<" in str(error) for code in NO_VERSION)


@contextmanager
def _in_words(operation: str, uri: str) -> Iterator[None]:
    """Errors of the store as one line, without its address and the whole of its answer."""
    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        _, _, said = str(error).partition(CODE)
        reason = said.partition("<")[0] or str(error).splitlines()[0][:300]
        raise StorageFailed(service="S3", operation=f"{operation} of {uri}", reason=reason) from error
