"""Cursors of lists ordered by age: opaque to clients, stable while rows come and go."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from rlm_rs.core.errors import ValidationFailed

T = TypeVar("T")

Page = tuple[Sequence[T], str | None]

_START = (float("inf"), "")


def cursor_of(created_at: float, row_id: str) -> str:
    """The cursor that continues after this row."""
    return base64.urlsafe_b64encode(json.dumps([created_at, row_id]).encode()).decode()


def page_of(rows: Sequence[T], limit: int, place: Callable[[T], tuple[float, str]]) -> Page[T]:
    """The first `limit` rows, and the cursor to go on with if there were more."""
    page = rows[:limit]
    return page, cursor_of(*place(page[-1])) if len(rows) > limit else None


def checked_limit(limit: int) -> int:
    """The limit itself. Raises `ValidationFailed` for one that no page can have."""
    if limit < 1:
        raise ValidationFailed(reason=f"limit must be 1 or more, not {limit}")
    return limit


def after(cursor: str | None) -> tuple[float, str]:
    """The row a page continues after. Raises `ValidationFailed` for a cursor not made here."""
    if not cursor:
        return _START
    try:
        created_at, row_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return _time(created_at), _text(row_id)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ValidationFailed(reason="cursor: not one that this service gave out") from error


def _time(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("not a time")
    return float(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not an id")
    # no store takes half a surrogate pair
    value.encode()
    return value
