"""Cursors nobody gave out are refused, whatever they are."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rlm_rs.core.errors import ValidationFailed
from rlm_rs.storage.database import Database
from rlm_rs.storage.pages import after, cursor_of
from rlm_rs.storage.sqlite import SqliteCatalog
from rlm_rs.testing.catalog_contract import MINE

ANY_TEXT = st.text(st.characters(exclude_categories=()))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)
PAIRS = st.tuples(SCALARS | st.integers(10**300, 10**320), SCALARS)


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


CURSORS = ANY_TEXT | (JSON | PAIRS).map(encoded) | st.binary().map(lambda b: base64.b64encode(b).decode())


@given(st.floats(allow_nan=False, allow_infinity=False), st.text())
def test_a_cursor_leads_to_the_row_it_was_made_of(created_at: float, row_id: str) -> None:
    assert after(cursor_of(created_at, row_id)) == (created_at, row_id)


@given(CURSORS)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(encoded([10**400, ""]))
@example(encoded([1.0, "\ud800"]))
async def test_any_other_cursor_is_taken_or_refused(tmp_path: Path, cursor: str) -> None:
    database = Database(tmp_path / "rlm.db")
    with suppress(ValidationFailed):
        await SqliteCatalog(database).list_executions(MINE, 10, cursor)
    await database.close()
