"""What every adapter of `core.ports.Keys` must do. Its tests are a subclass that says how to open one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rlm_rs.core.ports import Keys
from rlm_rs.core.records import ApiKeyRecord


def key(number: int, tenant: str = "tenant-a", **changes: object) -> ApiKeyRecord:
    """A key's record; a higher number is a newer one."""
    plain = ApiKeyRecord(f"hash{number}", f"id{number}", tenant, f"Büro {number}", ("read", "write"), 1e9)
    return replace(plain, created_at=1e9 + number / 8, **changes)  # type: ignore[arg-type]


class KeysContract:
    """The promises of `core.ports.Keys`. Subclasses provide the `keys` fixture, empty."""

    @pytest.fixture
    def keys(self) -> Keys:
        raise NotImplementedError("a subclass provides the keys")

    async def test_a_key_comes_back_as_it_was_written(self, keys: Keys) -> None:
        row = key(1, expires_at=2e9, revoked_at=1.5e9 + 0.25, last_used_at=1.25e9)
        await keys.put_key(row)
        assert await keys.find_key("hash1") == row

    async def test_an_unknown_hash_is_none(self, keys: Keys) -> None:
        await keys.put_key(key(1))
        assert await keys.find_key("hash2") is None
        assert await keys.find_key("") is None

    async def test_writing_again_replaces(self, keys: Keys) -> None:
        await keys.put_key(key(1))
        await keys.put_key(key(1, scopes=()))
        assert list(await keys.list_keys()) == [key(1, scopes=())]

    async def test_lists_are_oldest_first_and_per_tenant(self, keys: Keys) -> None:
        rows = [key(number, f"tenant-{'ab'[number % 2]}") for number in (3, 0, 2, 1)]
        for row in rows:
            await keys.put_key(row)
        assert [row.key_id for row in await keys.list_keys()] == ["id0", "id1", "id2", "id3"]
        assert [row.key_id for row in await keys.list_keys("tenant-b")] == ["id1", "id3"]
        assert list(await keys.list_keys("tenant-c")) == []

    async def test_use_is_marked(self, keys: Keys) -> None:
        await keys.put_key(key(1))
        await keys.mark_used("hash1", 1.5e9)
        assert await keys.find_key("hash1") == key(1, last_used_at=1.5e9)

    async def test_marking_use_does_not_undo_a_revocation(self, keys: Keys) -> None:
        await keys.put_key(key(1))
        await keys.put_key(key(1, revoked_at=1.4e9))
        await keys.mark_used("hash1", 1.5e9)
        assert await keys.find_key("hash1") == key(1, revoked_at=1.4e9, last_used_at=1.5e9)

    async def test_marking_an_unknown_key_makes_none(self, keys: Keys) -> None:
        await keys.mark_used("hash1", 1.5e9)
        assert await keys.find_key("hash1") is None
