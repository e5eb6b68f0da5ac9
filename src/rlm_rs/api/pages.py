"""Query parameters of lists, and pages over what is read from a journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeVar

from fastapi import Query

from rlm_rs.core.errors import ValidationFailed

T = TypeVar("T")

MAX_PAGE = 1000
# in nine digits: no journal has more
MAX_PLACE = 10**9

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="at most so many")]
Cursor = Annotated[
    str | None, Query(max_length=1000, description="`next_cursor` of the page before; none: the start")
]


def place_of(cursor: str | None) -> int:
    """How many rows of a journal a cursor has behind it. Raises `ValidationFailed`."""
    if not cursor:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and int(cursor) < MAX_PLACE):
        raise ValidationFailed(reason="cursor: not one that this service gave out")
    return int(cursor)


def page(rows: Sequence[T], cursor: str | None, limit: int) -> tuple[Sequence[T], str | None]:
    """A page of rows that only ever grow at their end; the cursor is None at the end."""
    begin = place_of(cursor)
    end = begin + limit
    return rows[begin:end], str(end) if len(rows) > end else None


def growing_page(rows: Sequence[T], cursor: str | None, limit: int) -> tuple[Sequence[T], str | None]:
    """The same, with a cursor to come back with later whenever a row was given out, or one was given in."""
    begin = place_of(cursor)
    found = rows[begin : begin + limit]
    return found, str(begin + len(found)) if found or cursor else None
