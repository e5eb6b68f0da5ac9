"""Where format modules write: text goes in, exact ranges of sections, pages and tables come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rlm_rs.parser.canonical import TextWriter, clean
from rlm_rs.parser.structure import Heading, PageSpan, TableSpan

_MAX_WARNINGS = 20


class Renderer:
    """Collects a document. Positions are code points of the canonical text written so far."""

    def __init__(self, writer: TextWriter) -> None:
        self._writer = writer
        self._newlines = 2
        self.title: str | None = None
        self.headings: list[Heading] = []
        self.pages: list[PageSpan] = []
        self.tables: list[TableSpan] = []
        self.warnings: list[str] = []

    @property
    def position(self) -> int:
        """Characters written so far: the offset of the next one."""
        return self._writer.char_length

    def verbatim(self, data: bytes) -> None:
        """Append canonical UTF-8, as it is."""
        self._writer.write_utf8(data)

    def warn(self, message: str) -> None:
        """Note something the reader of the document should know; repeated and excess notes are dropped."""
        if message not in self.warnings and len(self.warnings) < _MAX_WARNINGS:
            self.warnings.append(message)

    def block(self, text: str, gap: int = 2) -> int:
        """Write a paragraph, `gap` newlines after what precedes it; returns where it starts.

        Blank text writes nothing.
        """
        text = _readable(text).strip("\n")
        if not text or text.isspace():
            return self.position
        self._separate(gap)
        start = self.position
        self._writer.write(text)
        self._newlines = 0
        return start

    def heading(self, text: str, level: int, gap: int = 2) -> None:
        """Write a heading as a paragraph and open a section there. Level 1 is the outermost."""
        if text.strip():
            start = self.block(text, gap)
            self.headings.append(Heading(text, level, start))

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Write a table, one line per row, cells joined by ` | ` and empty cells at the right end dropped."""
        if not any(cell.strip() for row in rows for cell in row):
            return
        self._separate(2)
        start = self.position
        for row in rows:
            self.table_row(row)
        self.close_table(start, len(rows), max(len(row) for row in rows))

    def table_row(self, row: Sequence[str]) -> None:
        """Write one row of a table and its newline."""
        cells = [" ".join(cell.split()) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        self._writer.write(_readable(" | ".join(cells)) + "\n")
        self._newlines = 1

    def open_block(self) -> int:
        """Make room for what is written next, a table row by row or a chapter; returns where it starts."""
        self._separate(2)
        return self.position

    def close_table(self, start: int, rows: int, cols: int) -> None:
        """Record the table that started at `start` and ends here."""
        self.tables.append(TableSpan(start, self.position, rows, cols))

    @contextmanager
    def page(self, number: int) -> Iterator[None]:
        """Everything written inside is page `number`."""
        self._separate(2)
        start = self.position
        yield
        self.pages.append(PageSpan(number, start, self.position))

    def end(self) -> None:
        """End a rendered document with one newline."""
        if self.position:
            self._separate(1)

    def _separate(self, newlines: int) -> None:
        missing = newlines - self._newlines
        if missing > 0:
            self._writer.write("\n" * missing)
            self._newlines = newlines


def _readable(text: str) -> str:
    """Canonical text of a rendered format: no-break spaces become spaces, one for one.

    PDF writers use them for ordinary gaps, and then no search for two words would find anything.
    """
    return clean(text).replace("\xa0", " ")
