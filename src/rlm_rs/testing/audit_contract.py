"""What every adapter of `core.ports.AuditLog` must do. Its tests are a subclass that says how to open one."""

from __future__ import annotations

import asyncio

import pytest

from rlm_rs.core.errors import ValidationFailed
from rlm_rs.core.ports import AuditLog
from rlm_rs.core.records import AuditRecord
from rlm_rs.testing.pages import all_pages

MINE, THEIRS = "tenant-a", "tenant-b"


def entry(number: int, tenant: str = MINE, at: float | None = None) -> AuditRecord:
    """An entry; a higher number is a newer one, unless `at` says when."""
    when = 1e9 + number / 8 if at is None else at
    return AuditRecord(tenant, when, f"req_{number}", "id1", "POST", f"/v1/sessions/ü{number}", 202)


class AuditContract:
    """The promises of `core.ports.AuditLog`. Subclasses provide the `audit` fixture, empty."""

    @pytest.fixture
    def audit(self) -> AuditLog:
        raise NotImplementedError("a subclass provides the audit log")

    async def test_entries_come_newest_first_as_they_were_written(self, audit: AuditLog) -> None:
        for number in (2, 0, 1):
            await audit.write(entry(number))
        assert await audit.list_entries(MINE) == ([entry(2), entry(1), entry(0)], None)

    async def test_an_empty_log_is_an_empty_page(self, audit: AuditLog) -> None:
        assert await audit.list_entries(MINE) == ([], None)

    async def test_tenants_see_their_own(self, audit: AuditLog) -> None:
        await audit.write(entry(0))
        await audit.write(entry(1, THEIRS))
        assert await audit.list_entries(MINE) == ([entry(0)], None)
        assert await audit.list_entries(THEIRS) == ([entry(1, THEIRS)], None)

    async def test_two_alike_are_two(self, audit: AuditLog) -> None:
        await asyncio.gather(audit.write(entry(0)), audit.write(entry(0)))
        assert await audit.list_entries(MINE) == ([entry(0), entry(0)], None)

    @pytest.mark.parametrize("limit", [1, 3, 7, 50])
    async def test_pages_drop_and_repeat_nothing(self, audit: AuditLog, limit: int) -> None:
        for number in range(12):
            await audit.write(entry(number, at=1e9 + number // 5))
        found = await all_pages(lambda cursor: audit.list_entries(MINE, limit, cursor))
        assert len(found) == 12
        assert {row.request_id for row in found} == {f"req_{number}" for number in range(12)}
        assert [row.at for row in found] == sorted((row.at for row in found), reverse=True)

    async def test_pages_stand_still_while_entries_are_written(self, audit: AuditLog) -> None:
        for number in range(4):
            await audit.write(entry(number))
        first, cursor = await audit.list_entries(MINE, 2)
        await audit.write(entry(9))
        second, end = await audit.list_entries(MINE, 2, cursor)
        assert [row.request_id for row in (*first, *second)] == ["req_3", "req_2", "req_1", "req_0"]
        assert end is None

    async def test_a_cursor_not_given_out_here_and_an_empty_page_are_refused(self, audit: AuditLog) -> None:
        with pytest.raises(ValidationFailed, match="cursor"):
            await audit.list_entries(MINE, 10, "x")
        with pytest.raises(ValidationFailed, match="limit"):
            await audit.list_entries(MINE, 0)
