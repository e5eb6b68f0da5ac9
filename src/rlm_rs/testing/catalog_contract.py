"""What every catalog must do. An adapter's tests are a subclass that says how to open one."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace

import pytest

from rlm_rs.core.corpus import Document, Failure, IngestStatus
from rlm_rs.core.errors import ValidationFailed
from rlm_rs.core.ports import Catalog
from rlm_rs.core.records import (
    DocumentRecord,
    ExecutionRecord,
    ExecutionStatus,
    SessionRecord,
    SessionStatus,
)
from rlm_rs.testing.pages import all_pages

MINE, THEIRS = "tenant-a", "tenant-b"


def session(number: int, tenant: str = MINE, **changes: object) -> SessionRecord:
    """A session's row; a higher number is a newer one."""
    row = SessionRecord(
        tenant, f"sess_{number:03}", SessionStatus.READY, created_at=1_700_000_000.25 + number
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def document(
    number: int, session_id: str = "sess_000", tenant: str = MINE, **changes: object
) -> DocumentRecord:
    """A document's row with every kind of field filled."""
    plain = Document(
        doc_id=f"doc_{number}",
        doc_index=number,
        source_name=f"Vertrag ü {number}.pdf",
        mime_type="application/pdf",
        ingest_status=IngestStatus.PARSED,
        text_s3_uri=f"s3://b/{number}/text.txt",
        char_length=10**12,
        warnings=("one", "two"),
    )
    return DocumentRecord(tenant, session_id, replace(plain, **changes))  # type: ignore[arg-type]


def execution(number: int, tenant: str = MINE, **changes: object) -> ExecutionRecord:
    """An execution's row; a higher number is a newer one."""
    row = ExecutionRecord(
        tenant, "sess_000", f"exec_{number:03}", ExecutionStatus.RUNNING, "Why?", created_at=1e9 + number / 8
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def _cursor(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode()


class CatalogContract:
    """The promises of `core.ports.Catalog`. Subclasses provide the `catalog` fixture, empty."""

    @pytest.fixture
    def catalog(self) -> Catalog:
        raise NotImplementedError("a subclass provides the catalog")

    async def test_a_session_comes_back_as_it_was_written(self, catalog: Catalog) -> None:
        row = session(1, expires_at=2e9, fingerprint="f", options={"enable_search": True, "n": [1, None]})
        await catalog.put_session(row, [])
        assert await catalog.get_session(MINE, "sess_001") == row

    async def test_documents_come_back_in_order_as_they_were_written(self, catalog: Catalog) -> None:
        failed = document(1, ingest_status=IngestStatus.FAILED, failure=Failure("EMPTY", "It is empty."))
        rows = [document(2), failed, document(0, page_count=3, source_name="日本.txt")]
        await catalog.put_session(session(0), rows)
        assert list(await catalog.list_documents(MINE, "sess_000")) == [rows[2], rows[1], rows[0]]

    async def test_writing_a_session_again_replaces_it_and_its_documents(self, catalog: Catalog) -> None:
        await catalog.put_session(session(0), [document(0), document(1)])
        await catalog.put_session(session(0, status=SessionStatus.FAILED), [document(1)])
        stored = await catalog.get_session(MINE, "sess_000")
        assert stored is not None
        assert stored.status is SessionStatus.FAILED
        assert list(await catalog.list_documents(MINE, "sess_000")) == [document(1)]

    async def test_a_document_with_the_same_id_is_replaced(self, catalog: Catalog) -> None:
        await catalog.put_session(session(0), [document(0), document(1)])
        parsed = document(1, doc_index=7, char_length=5)
        await catalog.put_documents([parsed, document(3)])
        found = await catalog.list_documents(MINE, "sess_000")
        assert list(found) == [document(0), document(3), parsed]

    async def test_documents_of_a_session_that_is_gone_do_not_come_back(self, catalog: Catalog) -> None:
        await catalog.put_session(session(0), [document(0)])
        await catalog.delete_session(MINE, "sess_000")
        await catalog.put_documents([document(0)])
        await catalog.put_session(session(1), [])
        assert list(await catalog.list_documents(MINE, "sess_000")) == []

    async def test_putting_no_documents_is_no_error(self, catalog: Catalog) -> None:
        await catalog.put_documents([])

    async def test_what_is_not_there_is_none(self, catalog: Catalog) -> None:
        assert await catalog.get_session(MINE, "nobody") is None
        assert await catalog.get_execution(MINE, "nobody") is None
        assert await catalog.find_session(MINE, "nothing") is None
        assert list(await catalog.list_documents(MINE, "nobody")) == []
        assert await catalog.list_sessions(MINE) == ([], None)
        assert await catalog.list_executions(MINE) == ([], None)
        await catalog.delete_session(MINE, "nobody")

    async def test_delete_removes_the_session_and_its_documents(self, catalog: Catalog) -> None:
        await catalog.put_session(session(0, fingerprint="f"), [document(0)])
        await catalog.put_session(session(1), [document(0, "sess_001")])
        await catalog.delete_session(MINE, "sess_000")
        assert await catalog.get_session(MINE, "sess_000") is None
        assert list(await catalog.list_documents(MINE, "sess_000")) == []
        assert await catalog.find_session(MINE, "f") is None
        assert len(await catalog.list_documents(MINE, "sess_001")) == 1

    async def test_find_gives_the_newest_session_with_a_fingerprint(self, catalog: Catalog) -> None:
        for row in (session(2, fingerprint="f"), session(5, fingerprint="f"), session(9, fingerprint="g")):
            await catalog.put_session(row, [])
        found = await catalog.find_session(MINE, "f")
        assert found is not None
        assert found.session_id == "sess_005"

    async def test_an_execution_comes_back_and_is_replaced(self, catalog: Catalog) -> None:
        await catalog.put_execution(execution(1))
        ended = execution(
            1, status=ExecutionStatus.COMPLETED, finished_at=1e9 + 0.1, turns=3, cost_usd=0.1, parent_id="p"
        )
        await catalog.put_execution(ended)
        assert await catalog.get_execution(MINE, "exec_001") == ended
        assert await catalog.list_executions(MINE) == ([ended], None)

    async def test_a_removed_execution_is_gone_and_the_others_stay(self, catalog: Catalog) -> None:
        for tenant, number in ((MINE, 1), (MINE, 2), (THEIRS, 1)):
            await catalog.put_execution(execution(number, tenant))
        await catalog.delete_execution(MINE, "exec_001")
        await catalog.delete_execution(MINE, "exec_001")
        assert await catalog.list_executions(MINE) == ([execution(2)], None)
        assert await catalog.list_executions(THEIRS) == ([execution(1, THEIRS)], None)

    async def test_a_session_moves_on_only_from_where_it_is_expected(self, catalog: Catalog) -> None:
        creating = session(0, status=SessionStatus.CREATING)
        await catalog.put_session(creating, [document(0)])
        deleting = replace(creating, status=SessionStatus.DELETING, fingerprint="f")
        assert await catalog.move_session(deleting, SessionStatus.CREATING)
        assert not await catalog.move_session(session(0), SessionStatus.CREATING)
        assert not await catalog.move_session(session(1), SessionStatus.CREATING)
        assert await catalog.get_session(MINE, "sess_000") == deleting
        assert await catalog.find_session(MINE, "f") == deleting
        assert await catalog.list_documents(MINE, "sess_000") == [document(0)]

    async def test_ended_sessions_are_found_for_all_tenants_until_they_are_cleared(
        self, catalog: Catalog
    ) -> None:
        ended = [session(0, expires_at=10.0), session(1, THEIRS, expires_at=9.5)]
        others = [session(2, expires_at=10.5), session(3)]
        cleared = session(4, expires_at=1.0, status=SessionStatus.EXPIRED)
        for row in (*ended, *others, cleared):
            await catalog.put_session(row, [])
        assert list(await catalog.list_ended_sessions(10.0)) == [ended[1], ended[0]]
        assert list(await catalog.list_ended_sessions(10.0, limit=1)) == [ended[1]]
        assert list(await catalog.list_ended_sessions(9.0)) == []

    async def test_tenants_do_not_see_each_other(self, catalog: Catalog) -> None:
        await catalog.put_session(session(0, fingerprint="f"), [document(0)])
        await catalog.put_execution(execution(0))
        assert await catalog.get_session(THEIRS, "sess_000") is None
        assert await catalog.find_session(THEIRS, "f") is None
        assert list(await catalog.list_documents(THEIRS, "sess_000")) == []
        assert await catalog.get_execution(THEIRS, "exec_000") is None
        assert await catalog.list_sessions(THEIRS) == ([], None)
        assert await catalog.list_executions(THEIRS) == ([], None)
        assert await catalog.list_executions(THEIRS, session_id="sess_000") == ([], None)

    async def test_one_id_may_be_used_by_two_tenants(self, catalog: Catalog) -> None:
        await catalog.put_session(session(0), [document(0)])
        await catalog.put_session(session(0, THEIRS), [])
        await catalog.delete_session(THEIRS, "sess_000")
        assert await catalog.get_session(MINE, "sess_000") == session(0)
        assert len(await catalog.list_documents(MINE, "sess_000")) == 1

    @pytest.mark.parametrize("limit", [1, 2, 5, 6, 7, 100])
    async def test_pages_hold_every_row_once_newest_first(self, catalog: Catalog, limit: int) -> None:
        for number in (3, 1, 6, 2, 5, 4):
            await catalog.put_session(session(number), [])
            await catalog.put_execution(execution(number))
        sessions = await all_pages(lambda cursor: catalog.list_sessions(MINE, limit, cursor))
        assert sessions == [session(number) for number in (6, 5, 4, 3, 2, 1)]
        executions = await all_pages(lambda cursor: catalog.list_executions(MINE, limit, cursor))
        assert executions == [execution(number) for number in (6, 5, 4, 3, 2, 1)]

    async def test_rows_of_the_same_time_are_neither_dropped_nor_repeated(self, catalog: Catalog) -> None:
        for number in range(7):
            await catalog.put_execution(execution(number, created_at=5.5))
            await catalog.put_session(session(number, created_at=5.5), [])
        executions = await all_pages(lambda cursor: catalog.list_executions(MINE, 2, cursor))
        assert sorted(row.execution_id for row in executions) == [f"exec_{n:03}" for n in range(7)]
        sessions = await all_pages(lambda cursor: catalog.list_sessions(MINE, 3, cursor))
        assert sorted(row.session_id for row in sessions) == [f"sess_{n:03}" for n in range(7)]

    async def test_rows_written_between_pages_drop_and_repeat_nothing(self, catalog: Catalog) -> None:
        for number in range(10, 16):
            await catalog.put_execution(execution(number))
        newer = iter(range(16, 30))

        async def page(cursor: str | None) -> tuple[Sequence[ExecutionRecord], str | None]:
            found = await catalog.list_executions(MINE, 2, cursor)
            await catalog.put_execution(execution(next(newer)))
            await catalog.put_execution(execution(12, turns=9))
            return found

        ids = [row.execution_id for row in await all_pages(page)]
        assert ids == [f"exec_{n:03}" for n in range(15, 9, -1)]

    async def test_a_list_can_be_of_one_session(self, catalog: Catalog) -> None:
        for number in range(6):
            await catalog.put_execution(execution(number, session_id=f"sess_{number % 2}"))
        rows = await all_pages(lambda cursor: catalog.list_executions(MINE, 2, cursor, session_id="sess_1"))
        assert [row.execution_id for row in rows] == ["exec_005", "exec_003", "exec_001"]

    @pytest.mark.parametrize("session_id", [None, "sess_1"])
    @pytest.mark.parametrize("status", [None, ExecutionStatus.RUNNING, ExecutionStatus.TIMEOUT])
    @pytest.mark.parametrize("mode", [None, "ANSWERER", "RUNTIME"])
    async def test_a_list_of_executions_holds_those_that_fit_every_filter(
        self, catalog: Catalog, session_id: str | None, status: ExecutionStatus | None, mode: str | None
    ) -> None:
        rows = [
            execution(
                number,
                session_id=f"sess_{number % 2}",
                status=(ExecutionStatus.RUNNING, ExecutionStatus.COMPLETED)[number % 3 == 0],
                mode=("ANSWERER", "RUNTIME")[number % 4 < 2],
            )
            for number in range(12)
        ]
        for row in (*rows, execution(50, THEIRS, session_id="sess_1")):
            await catalog.put_execution(row)
        fitting = [
            row
            for row in reversed(rows)
            if session_id in (None, row.session_id)
            and status in (None, row.status)
            and mode in (None, row.mode)
        ]
        found = await all_pages(
            lambda cursor: catalog.list_executions(MINE, 2, cursor, session_id, status, mode)
        )
        assert found == fitting

    async def test_an_execution_that_ended_moves_from_one_list_to_the_other(self, catalog: Catalog) -> None:
        await catalog.put_execution(execution(1))
        await catalog.put_execution(execution(1, status=ExecutionStatus.COMPLETED))
        assert await catalog.list_executions(MINE, status=ExecutionStatus.RUNNING) == ([], None)
        found, _ = await catalog.list_executions(MINE, status=ExecutionStatus.COMPLETED)
        assert [row.execution_id for row in found] == ["exec_001"]

    async def test_executions_are_counted_by_status(self, catalog: Catalog) -> None:
        for number in range(5):
            status = (ExecutionStatus.RUNNING, ExecutionStatus.FAILED)[number % 2]
            await catalog.put_execution(execution(number, status=status))
        await catalog.put_execution(execution(9, THEIRS))
        assert await catalog.count_executions(MINE, ExecutionStatus.RUNNING) == 3
        assert await catalog.count_executions(MINE, ExecutionStatus.FAILED) == 2
        assert await catalog.count_executions(MINE, ExecutionStatus.CANCELLED) == 0

    async def test_a_list_of_sessions_can_be_of_one_status(self, catalog: Catalog) -> None:
        for number in range(7):
            status = (SessionStatus.READY, SessionStatus.EXPIRED)[number % 2]
            await catalog.put_session(session(number, status=status), [])
        await catalog.put_session(session(8, THEIRS), [])
        ready = await all_pages(
            lambda cursor: catalog.list_sessions(MINE, 3, cursor, status=SessionStatus.READY)
        )
        assert [row.session_id for row in ready] == ["sess_006", "sess_004", "sess_002", "sess_000"]
        assert await catalog.list_sessions(MINE, status=SessionStatus.FAILED) == ([], None)

    @pytest.mark.parametrize(
        "cursor",
        [
            *("x", "é", "W10=", "WzEsMiwzXQ==", "bnVsbA==", "W1suLi4=", "=" * 50),
            *(_cursor(f'[{time}, ""]') for time in ("1" + "0" * 400, "NaN", "Infinity", "1e999", "true")),
            *(_cursor(f"[1.0, {row_id}]") for row_id in ('"\\ud800"', "2", "null", "[]")),
        ],
    )
    async def test_a_cursor_not_given_out_here_is_refused(self, catalog: Catalog, cursor: str) -> None:
        with pytest.raises(ValidationFailed, match="cursor"):
            await catalog.list_sessions(MINE, 10, cursor)
        with pytest.raises(ValidationFailed, match="cursor"):
            await catalog.list_executions(MINE, 10, cursor)

    @pytest.mark.parametrize("limit", [0, -1])
    async def test_a_page_of_no_rows_is_refused(self, catalog: Catalog, limit: int) -> None:
        with pytest.raises(ValidationFailed, match="limit"):
            await catalog.list_sessions(MINE, limit)
        with pytest.raises(ValidationFailed, match="limit"):
            await catalog.list_executions(MINE, limit)
