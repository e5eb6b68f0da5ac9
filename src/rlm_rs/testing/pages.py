"""Reading a list to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

Row = TypeVar("Row")


async def all_pages(
    page: Callable[[str | None], Awaitable[tuple[Sequence[Row], str | None]]],
) -> list[Row]:
    """Every row of a list, page by page; fails where a cursor leads to an empty page."""
    rows, cursor = await page(None)
    found = list(rows)
    while cursor is not None:
        rows, cursor = await page(cursor)
        assert rows, "a cursor was given though no rows were left"
        found += rows
    return found
