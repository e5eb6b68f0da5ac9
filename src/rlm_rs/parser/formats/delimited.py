"""CSV and TSV: kept word for word, and recorded as one table (RFC 4180)."""

from __future__ import annotations

from rlm_rs.parser import media
from rlm_rs.parser.encodings import encoding_of, read_blocks
from rlm_rs.parser.outcome import SourceFile
from rlm_rs.parser.renderer import Renderer
from rlm_rs.parser.structure import TableSpan

_DELIMITERS = ",;\t|"


def render(source: SourceFile, out: Renderer) -> None:
    """Copy the text and count the table's records and fields, in one pass and flat memory."""
    encoding = encoding_of(source.path, source.head)
    if encoding.warning:
        out.warn(encoding.warning)
    counter = _Counter("\t" if media.guess_type(source.name) == media.TSV else _DELIMITERS)
    for block in read_blocks(source.path, encoding):
        counter.feed(block)
        out.verbatim(block)
    rows, cols = counter.totals()
    out.tables.append(TableSpan(0, out.position, rows, cols))


class _Counter:
    """Counts records and the first record's fields; newlines and delimiters inside quotes do not count."""

    def __init__(self, delimiters: str) -> None:
        self._delimiters = dict.fromkeys(delimiters, 0)
        self._quoted = False
        self._newlines = self._all_newlines = 0
        self._open_line = False

    def feed(self, block: str) -> None:
        """Count a piece of the text."""
        if not block:
            return
        self._all_newlines += block.count("\n")
        self._open_line = not block.endswith("\n")
        for piece in block.split('"'):
            if not self._quoted:
                self._feed_unquoted(piece)
            self._quoted = not self._quoted
        self._quoted = not self._quoted

    def totals(self) -> tuple[int, int]:
        """Records and fields. Stray quotes would hide newlines: then every line is a record."""
        newlines = self._all_newlines if self._quoted else self._newlines
        return newlines + self._open_line, max(self._delimiters.values()) + 1

    def _feed_unquoted(self, piece: str) -> None:
        if not self._newlines:
            first = piece.partition("\n")[0]
            for delimiter in self._delimiters:
                self._delimiters[delimiter] += first.count(delimiter)
        self._newlines += piece.count("\n")
