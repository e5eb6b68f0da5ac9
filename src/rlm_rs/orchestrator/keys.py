"""API keys: made once and shown once; stored as a hash, checked on every request."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace

from rlm_rs.core.errors import KeyNotFound, Unauthorized, ValidationFailed
from rlm_rs.core.ports import Keys
from rlm_rs.core.records import ApiKeyRecord

PREFIX = "rlm_key_"
ID_PREFIX = "key_"
SCOPES = ("read", "write", "admin")
"""read: look at things. write: make, change and remove them. admin: read the audit log."""
DEFAULT_SCOPES = ("read", "write")

MARK_USED_SECONDS = 60.0
# 256 bits, more than a hash can be searched for
KEY_BYTES = 32
TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
MAX_NAME_CHARS = 200


def key_hash(key: str, pepper: str) -> str:
    """What a key is stored and found by: the hex HMAC-SHA256 of the whole key (RFC 2104)."""
    return hmac.new(pepper.encode(), key.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


async def create_key(
    keys: Keys,
    pepper: str,
    *,
    tenant_id: str,
    name: str,
    scopes: Sequence[str] = DEFAULT_SCOPES,
    expires_at: float | None = None,
) -> tuple[str, ApiKeyRecord]:
    """A new key of a tenant, which only its holder will know from now on, and its record.

    expires_at: seconds since the epoch. Raises `ValidationFailed`.
    """
    now = time.time()
    _check_new(tenant_id, name, scopes, expires_at, now)
    key = PREFIX + secrets.token_urlsafe(KEY_BYTES)
    record = ApiKeyRecord(
        key_hash=key_hash(key, pepper),
        key_id=ID_PREFIX + secrets.token_hex(8),
        tenant_id=tenant_id,
        name=name,
        scopes=tuple(scope for scope in SCOPES if scope in scopes),
        created_at=now,
        expires_at=expires_at,
    )
    await keys.put_key(record)
    return key, record


async def check_key(keys: Keys, pepper: str, key: str, now: float | None = None) -> ApiKeyRecord:
    """The record of a key that is good now. Raises `Unauthorized` for one unknown, expired or revoked."""
    return await good_key(keys, key_hash(key, pepper), now)


async def good_key(keys: Keys, hashed: str, now: float | None = None) -> ApiKeyRecord:
    """The record of a key that is good now, by its hash. Raises `Unauthorized`."""
    at = time.time() if now is None else now
    found = await keys.find_key(hashed)
    if found is None or not is_good(found, at):
        raise Unauthorized
    if found.last_used_at is None or at - found.last_used_at >= MARK_USED_SECONDS:
        await keys.mark_used(found.key_hash, at)
        return replace(found, last_used_at=at)
    return found


def is_good(key: ApiKeyRecord, now: float) -> bool:
    """Whether a key is neither revoked nor expired."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


async def revoke_key(keys: Keys, key_id: str) -> ApiKeyRecord:
    """Make a key worthless from now on; once is enough. Raises `KeyNotFound`."""
    for found in await keys.list_keys():
        if found.key_id == key_id:
            revoked = replace(found, revoked_at=found.revoked_at or time.time())
            await keys.put_key(revoked)
            return revoked
    raise KeyNotFound(key_id=key_id)


def _check_new(
    tenant_id: str, name: str, scopes: Sequence[str], expires_at: float | None, now: float
) -> None:
    if not TENANT.fullmatch(tenant_id):
        raise ValidationFailed(
            reason=f"tenant {tenant_id!r}: use up to 128 letters, digits, '.', '_' and '-', beginning with a "
            "letter or digit; it is part of the tenant's URIs."
        )
    if not name.strip() or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise ValidationFailed(reason=f"name: 1 to {MAX_NAME_CHARS} printable characters are needed.")
    if not scopes or set(scopes) - set(SCOPES):
        raise ValidationFailed(reason=f"scopes: one or more of {', '.join(SCOPES)} are needed.")
    if expires_at is not None and not now < expires_at < float("inf"):
        raise ValidationFailed(reason="expires_at: that is not in the future.")
