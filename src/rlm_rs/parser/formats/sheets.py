"""XLSX, XLSB, XLS and ODS: each sheet is a section and one table.

Values are those stored in the file: dates in ISO form, numbers without their display format.
"""

from __future__ import annotations

import datetime
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from rlm_rs.parser.failures import DocumentCorrupt, DocumentEmpty, DocumentEncrypted
from rlm_rs.parser.outcome import SourceFile
from rlm_rs.parser.renderer import Renderer
from rlm_rs.parser.zips import check_contents, open_container


def render(source: SourceFile, out: Renderer) -> None:
    """Render all sheets in their order, hidden ones too; empty rows are left out."""
    if source.head.startswith(b"PK"):
        _check_container(source)
    try:
        with CalamineWorkbook.from_path(str(source.path)) as workbook:
            for index, name in enumerate(workbook.sheet_names):
                _sheet(workbook, index, name, out)
    except PasswordError as error:
        raise DocumentEncrypted from error
    except CalamineError as error:
        raise DocumentCorrupt(reason=str(error)[:120]) from error
    if not out.tables:
        raise DocumentEmpty
    out.end()


def _check_container(source: SourceFile) -> None:
    """The reader unpacks by itself, so what the container says is compared with what it holds first."""
    with open_container(source.path, source.limits) as archive:
        check_contents(source.path, archive.infolist())


def _sheet(workbook: CalamineWorkbook, index: int, name: str, out: Renderer) -> None:
    out.heading(name, 1)
    start = rows = cols = 0
    for row in workbook.get_sheet_by_index(index).iter_rows():
        cells = [_shown(value) for value in row]
        if any(cells):
            start = start or out.open_block()
            out.table_row(cells)
            rows, cols = rows + 1, max(cols, _width(cells))
    if rows:
        out.close_table(start, rows, cols)


def _width(cells: list[str]) -> int:
    return max((number for number, cell in enumerate(cells, 1) if cell), default=0)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)
