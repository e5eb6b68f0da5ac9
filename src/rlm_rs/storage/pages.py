"""Cursors of lists ordered by age: opaque to clients, stable while rows come and go."""

from __future__ import annotations

import base64
import binascii
import json

from rlm_rs.core.errors import ValidationFailed

_START = (float("inf"), "")


def cursor_of(created_at: float, row_id: str) -> str:
    """The cursor that continues after this row."""
    return base64.urlsafe_b64encode(json.dumps([created_at, row_id]).encode()).decode()


def after(cursor: str | None) -> tuple[float, str]:
    """The row a page continues after. Raises `ValidationFailed` for a cursor not made here."""
    if not cursor:
        return _START
    try:
        created_at, row_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return float(created_at), str(row_id)
    except (ValueError, TypeError, binascii.Error) as error:
        raise ValidationFailed(reason="cursor: not one that this service gave out") from error
