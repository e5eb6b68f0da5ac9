"""Documents that come in from outside: where a tenant's lie, and which it may use."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from rlm_rs.core.errors import ValidationFailed
from rlm_rs.orchestrator.ports import Service

MAX_NAME_BYTES = 200
_UNSAFE = re.compile(r"[^\w.() -]+")


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """An uploaded document. checksum: `sha256:` and hex of its bytes."""

    raw_s3_uri: str
    byte_length: int
    checksum: str


async def store_upload(
    tenant_id: str, name: str, stream: AsyncIterator[bytes], service: Service
) -> StoredUpload:
    """Store a stream of bytes, never held in memory, where only this tenant can take it from."""
    service.spool.mkdir(parents=True, exist_ok=True)
    upload_id = uuid4().hex
    path = service.spool / f"upload_{upload_id}"
    digest, length = hashlib.sha256(), 0
    try:
        with path.open("xb") as file:
            async for chunk in stream:
                digest.update(chunk)
                length += len(chunk)
                await asyncio.to_thread(file.write, chunk)
        uri = f"{own_prefix(tenant_id, service)}{upload_id}/{_safe(name)}"
        await service.ports.blobs.put_file(uri, path)
    finally:
        path.unlink(missing_ok=True)
    return StoredUpload(uri, length, f"sha256:{digest.hexdigest()}")


async def store_file(tenant_id: str, name: str, path: Path, service: Service) -> str:
    """Store a file of this machine as an upload; its URI. The file may be moved away."""
    uri = f"{own_prefix(tenant_id, service)}{uuid4().hex}/{_safe(name)}"
    await service.ports.blobs.put_file(uri, path)
    return uri


def own_prefix(tenant_id: str, service: Service) -> str:
    """Where a tenant's uploads lie."""
    return f"s3://{service.ports.bucket}/raw/{tenant_id}/"


def upload_prefix(tenant_id: str, uri: str, service: Service) -> str | None:
    """What holds the upload that an URI names, or None if it is not one of this tenant's uploads."""
    own = own_prefix(tenant_id, service)
    upload_id, slash, name = uri.removeprefix(own).partition("/")
    return f"{own}{upload_id}/" if uri.startswith(own) and slash and name else None


def check_source(tenant_id: str, uri: str, service: Service) -> None:
    """Raise `ValidationFailed` for an object that this tenant may not read."""
    allowed = (own_prefix(tenant_id, service), *service.import_prefixes)
    inside = uri.startswith("s3://") and any(uri.startswith(p) and len(uri) > len(p) for p in allowed)
    if not inside or any(part in ("", ".", "..") for part in uri.removeprefix("s3://").split("/")):
        raise ValidationFailed(
            reason=f"raw_s3_uri {uri[:200]!r} must be an object below {' or '.join(allowed)}"
        )


def _safe(name: str) -> str:
    """The last part of a file name, as every store can name it."""
    last = _UNSAFE.sub("_", name.replace("\\", "/").rsplit("/", 1)[-1]).strip(" .")
    while len(last.encode()) > MAX_NAME_BYTES:
        last = last[1:]
    return last.strip(" .") or "document"
