"""Records of any size: small ones stand in their item, large ones in the blob store, with a checksum.

An item of DynamoDB holds at most 400 KB, its keys and indexed attributes included.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from rlm_rs.core.errors import BlobNotFound, ChecksumMismatch
from rlm_rs.core.ports import Blobs

INLINE_BYTES = 350_000
INDEXED_INLINE_BYTES = 16_000
"""Of rows that indexes repeat: each of these bytes is written once more for every index."""


class LargeRecords:
    """Where records that are too large for an item stand: `s3://bucket/rows/…`."""

    def __init__(self, blobs: Blobs, bucket: str) -> None:
        self._blobs = blobs
        self._bucket = bucket

    async def kept(self, place: str, record: bytes, inline: int = INLINE_BYTES) -> dict[str, Any]:
        """The attributes that hold a record, or say where it stands and what it is."""
        if len(record) <= inline:
            return {"record": record}
        digest = hashlib.sha256(record).hexdigest()
        uri = f"s3://{self._bucket}/rows/{hashlib.sha256(place.encode()).hexdigest()}/{digest}"
        await self._blobs.put(uri, record)
        return {"record_uri": uri, "checksum": f"sha256:{digest}", "byte_length": len(record)}

    async def read(self, item: Mapping[str, Any]) -> bytes:
        """The record of an item. Raises `BlobNotFound` and `ChecksumMismatch`."""
        if "record" in item:
            return bytes(item["record"])
        record = await self._blobs.get(item["record_uri"])
        if f"sha256:{hashlib.sha256(record).hexdigest()}" != item["checksum"]:
            raise ChecksumMismatch(what=item["record_uri"])
        return record

    async def latest(
        self, item: Mapping[str, Any], again: Callable[[], Awaitable[Mapping[str, Any] | None]]
    ) -> bytes | None:
        """The record of an item, or of what stands in its place by now; None if nothing does.

        The object of a record goes when its item is replaced or removed, while others still hold the item as
        it was, from an index or from a moment ago. `again` reads it from its table as the last write left it.
        Raises `BlobNotFound` for the object of an item that stands, and `ChecksumMismatch`.
        """
        found: Mapping[str, Any] | None = item
        while found is not None:
            try:
                return await self.read(found)
            except BlobNotFound:
                missing, found = found["record_uri"], await again()
                if found is not None and found.get("record_uri") == missing:
                    raise
        return None

    async def drop(self, items: Iterable[Mapping[str, Any] | None], keep: str | None = None) -> None:
        """Remove the objects of items that are gone or were replaced, but for the one at `keep`."""
        for item in items:
            uri = (item or {}).get("record_uri")
            if uri and uri != keep:
                await self._blobs.delete(uri)
