"""Blobs in S3, by obstore: one store for each bucket, opened when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from rlm_rs.core.errors import BlobNotFound
from rlm_rs.storage.blobs import SCHEME, StoreBlobs, key_of, prefix_of

if TYPE_CHECKING:
    from obstore import GetOptions


class S3Blobs(StoreBlobs):
    """`core.ports.Blobs` in S3. `opened` makes the store of a bucket."""

    def __init__(self, opened: Callable[[str], ObjectStore]) -> None:
        self._opened = opened
        self._buckets: dict[str, ObjectStore] = {}

    def place(self, uri: str) -> tuple[ObjectStore, str]:
        bucket, _, key = key_of(uri).partition("/")
        return self._bucket(bucket), key

    def place_of_prefix(self, prefix: str) -> tuple[ObjectStore, str, str]:
        bucket, _, key = prefix_of(prefix).partition("/")
        return self._bucket(bucket), key, f"{SCHEME}{bucket}/"

    async def get(self, uri: str, start: int = 0, length: int | None = None) -> bytes:
        if length == 0 or (start == 0 and length is None):
            return await super().get(uri, start, length)
        store, key = self.place(uri)
        wanted: GetOptions = {"range": {"offset": start} if length is None else (start, start + length)}
        try:
            # one request: S3 ends a range with the object itself
            found = await obstore.get_async(store, key, options=wanted)
            return bytes(await found.bytes_async())
        except FileNotFoundError as error:
            raise BlobNotFound(uri=uri) from error
        except BaseError:
            # the range begins past the end, which is an error there and an empty answer here
            if start < await self.size(uri):
                raise
            return b""

    def _bucket(self, name: str) -> ObjectStore:
        if name not in self._buckets:
            self._buckets[name] = self._opened(name)
        return self._buckets[name]
