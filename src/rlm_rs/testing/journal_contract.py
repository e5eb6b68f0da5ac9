"""What every journal must do. An adapter's tests are a subclass that says how to open one.

class TestMemoryJournal(JournalContract):
    @pytest.fixture
    def journal(self):
        return MemoryJournal()
"""

from __future__ import annotations

import asyncio

import pytest

from rlm_rs.core.errors import Fenced
from rlm_rs.core.ports import Journal

RACERS = 20


class JournalContract:
    """The promises of `core.ports.Journal`. Subclasses provide the `journal` fixture, empty."""

    @pytest.fixture
    def journal(self) -> Journal:
        raise NotImplementedError("a subclass provides the journal")

    async def test_reads_back_what_was_appended_in_order(self, journal: Journal) -> None:
        records = [b"", b"\x00\xff", "ü€𝄞".encode(), b"x" * 100_000]
        for seq, record in enumerate(records):
            await journal.append("e", seq, record)
        assert list(await journal.read("e")) == records

    async def test_reads_from_a_number_on(self, journal: Journal) -> None:
        for seq in range(12):
            await journal.append("e", seq, str(seq).encode())
        assert list(await journal.read("e", 10)) == [b"10", b"11"]
        assert list(await journal.read("e", 12)) == []

    async def test_an_unknown_execution_reads_as_empty(self, journal: Journal) -> None:
        assert list(await journal.read("nobody")) == []

    async def test_a_taken_number_is_fenced_and_stays_as_it_was(self, journal: Journal) -> None:
        await journal.append("e", 0, b"first")
        with pytest.raises(Fenced):
            await journal.append("e", 0, b"second")
        assert list(await journal.read("e")) == [b"first"]

    @pytest.mark.parametrize("seq", [-1, 1, 2, 1_000_000])
    async def test_a_number_after_a_gap_is_fenced(self, journal: Journal, seq: int) -> None:
        with pytest.raises(Fenced):
            await journal.append("e", seq, b"early")
        assert list(await journal.read("e")) == []

    async def test_a_refused_append_leaves_the_number_free(self, journal: Journal) -> None:
        await journal.append("e", 0, b"0")
        with pytest.raises(Fenced):
            await journal.append("e", 2, b"2")
        await journal.append("e", 1, b"1")
        assert list(await journal.read("e")) == [b"0", b"1"]

    async def test_of_racing_appends_of_one_number_one_wins(self, journal: Journal) -> None:
        for seq in range(5):
            outcomes = await asyncio.gather(
                *(journal.append("e", seq, f"{seq}/{racer}".encode()) for racer in range(RACERS)),
                return_exceptions=True,
            )
            winners = [racer for racer, outcome in enumerate(outcomes) if outcome is None]
            assert len(winners) == 1
            assert sum(isinstance(outcome, Fenced) for outcome in outcomes) == RACERS - 1
            assert (await journal.read("e", seq))[0] == f"{seq}/{winners[0]}".encode()

    async def test_executions_do_not_touch_each_other(self, journal: Journal) -> None:
        await journal.append("a", 0, b"a0")
        await journal.append("a-0.1", 0, b"child")
        await journal.append("a", 1, b"a1")
        assert list(await journal.read("a")) == [b"a0", b"a1"]
        assert list(await journal.read("a-0.1")) == [b"child"]

    async def test_delete_removes_one_execution_wholly(self, journal: Journal) -> None:
        await journal.append("a", 0, b"a")
        await journal.append("b", 0, b"b")
        await journal.delete("a")
        assert list(await journal.read("a")) == []
        assert list(await journal.read("b")) == [b"b"]
        await journal.append("a", 0, b"again")
        assert list(await journal.read("a")) == [b"again"]

    async def test_deleting_nothing_is_no_error(self, journal: Journal) -> None:
        await journal.delete("nobody")
