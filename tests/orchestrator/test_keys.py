"""A key is good for its holder, until it expires or is revoked, and is stored only as a hash."""

from __future__ import annotations

import hashlib
import hmac
import time

import pytest

from rlm_rs.core.errors import KeyNotFound, Unauthorized, ValidationFailed
from rlm_rs.orchestrator.keys import SCOPES, check_key, create_key, revoke_key
from rlm_rs.storage.memory_keys import MemoryKeys

PEPPER = "pepper"


@pytest.fixture
def keys() -> MemoryKeys:
    return MemoryKeys()


async def test_a_key_identifies_its_tenant(keys: MemoryKeys) -> None:
    mine, _ = await create_key(keys, PEPPER, tenant_id="a", name="laptop")
    theirs, _ = await create_key(keys, PEPPER, tenant_id="b", name="laptop", scopes=("admin", "read"))
    assert (await check_key(keys, PEPPER, mine)).tenant_id == "a"
    found = await check_key(keys, PEPPER, theirs)
    assert (found.tenant_id, found.scopes) == ("b", ("read", "admin"))


async def test_a_key_is_stored_only_as_its_hash(keys: MemoryKeys) -> None:
    key, record = await create_key(keys, PEPPER, tenant_id="a", name="laptop")
    assert key.startswith("rlm_key_")
    assert record.key_hash == hmac.new(b"pepper", key.encode(), hashlib.sha256).hexdigest()
    assert key.removeprefix("rlm_key_") not in repr(await keys.list_keys())


async def test_no_two_keys_are_alike(keys: MemoryKeys) -> None:
    made = [await create_key(keys, PEPPER, tenant_id="a", name="same") for _ in range(50)]
    assert len({key for key, _ in made}) == len({record.key_id for _, record in made}) == 50


@pytest.mark.parametrize("wrong", ["", "rlm_key_", "rlm_key_x", "\ud800", "ü" * 10_000])
async def test_an_unknown_key_is_refused(keys: MemoryKeys, wrong: str) -> None:
    await create_key(keys, PEPPER, tenant_id="a", name="laptop")
    with pytest.raises(Unauthorized):
        await check_key(keys, PEPPER, wrong)


async def test_a_key_hashed_with_another_pepper_is_refused(keys: MemoryKeys) -> None:
    key, _ = await create_key(keys, "other", tenant_id="a", name="laptop")
    with pytest.raises(Unauthorized):
        await check_key(keys, PEPPER, key)


async def test_an_expired_key_is_refused(keys: MemoryKeys) -> None:
    end = time.time() + 100
    key, _ = await create_key(keys, PEPPER, tenant_id="a", name="laptop", expires_at=end)
    assert await check_key(keys, PEPPER, key, now=end - 0.1)
    with pytest.raises(Unauthorized):
        await check_key(keys, PEPPER, key, now=end)


async def test_a_revoked_key_is_refused_and_the_others_are_not(keys: MemoryKeys) -> None:
    key, record = await create_key(keys, PEPPER, tenant_id="a", name="lost")
    kept, _ = await create_key(keys, PEPPER, tenant_id="a", name="kept")
    revoked = await revoke_key(keys, record.key_id)
    assert await revoke_key(keys, record.key_id) == revoked
    with pytest.raises(Unauthorized):
        await check_key(keys, PEPPER, key)
    assert await check_key(keys, PEPPER, kept)


async def test_an_unknown_id_cannot_be_revoked(keys: MemoryKeys) -> None:
    with pytest.raises(KeyNotFound, match="key_x"):
        await revoke_key(keys, "key_x")


async def test_the_last_use_is_written_once_a_minute(keys: MemoryKeys) -> None:
    key, record = await create_key(keys, PEPPER, tenant_id="a", name="laptop")
    for now in (1000.0, 1059.9, 1060.0, 1060.1):
        await check_key(keys, PEPPER, key, now=now)
        stored = await keys.find_key(record.key_hash)
        assert stored is not None
        assert stored.last_used_at == (1000.0 if now < 1060 else 1060.0)


@pytest.mark.parametrize("tenant", ["", "a/b", "../a", "a b", ".a", "ä", "a" * 129, "a\n"])
async def test_a_tenant_that_cannot_stand_in_a_uri_is_refused(keys: MemoryKeys, tenant: str) -> None:
    with pytest.raises(ValidationFailed, match="tenant"):
        await create_key(keys, PEPPER, tenant_id=tenant, name="laptop")


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a" * 201])
async def test_a_name_that_cannot_be_listed_is_refused(keys: MemoryKeys, name: str) -> None:
    with pytest.raises(ValidationFailed, match="name"):
        await create_key(keys, PEPPER, tenant_id="a", name=name)


@pytest.mark.parametrize("scopes", [(), ("root",), (*SCOPES, "x")])
async def test_unknown_scopes_are_refused(keys: MemoryKeys, scopes: tuple[str, ...]) -> None:
    with pytest.raises(ValidationFailed, match="scopes"):
        await create_key(keys, PEPPER, tenant_id="a", name="laptop", scopes=scopes)


@pytest.mark.parametrize("end", [0.0, 1.0, float("inf"), float("nan")])
async def test_an_end_that_is_not_in_the_future_is_refused(keys: MemoryKeys, end: float) -> None:
    with pytest.raises(ValidationFailed, match="expires_at"):
        await create_key(keys, PEPPER, tenant_id="a", name="laptop", expires_at=end)
