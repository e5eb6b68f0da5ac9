"""CSV and TSV: kept word for word, and recorded as one table (RFC 4180)."""

from __future__ import annotations

from rlm_rs.parser import media
from rlm_rs.parser.encodings import encoding_of, read_canonical
from rlm_rs.parser.outcome import SourceFile
from rlm_rs.parser.renderer import Renderer
from rlm_rs.parser.structure import TableSpan

_DELIMITERS = b",;\t|"


def render(source: SourceFile, out: Renderer) -> None:
    """Copy the text and count the table's records and fields, in one pass and flat memory."""
    encoding = encoding_of(source.path, source.head)
    if encoding.warning:
        out.warn(encoding.warning)
    counter = _Counter(b"\t" if media.guess_type(source.name) == media.TSV else _DELIMITERS)
    for block in read_canonical(source.path, encoding):
        counter.feed(block)
        out.verbatim(block)
    rows, cols = counter.totals()
    out.tables.append(TableSpan(0, out.position, rows, cols))


class _Lines:
    """Counts lines, and the delimiters of the first one, in text that comes in pieces."""

    def __init__(self, delimiters: bytes) -> None:
        self._delimiters = dict.fromkeys((bytes([code]) for code in delimiters), 0)
        self.newlines = 0

    def feed(self, piece: bytes) -> None:
        """Count a piece."""
        if not self.newlines:
            first = piece.partition(b"\n")[0]
            for delimiter in self._delimiters:
                self._delimiters[delimiter] += first.count(delimiter)
        self.newlines += piece.count(b"\n")

    def fields(self) -> int:
        """Fields of the first line, by whichever delimiter divides it most."""
        return max(self._delimiters.values()) + 1


class _Counter:
    """Counts records and the first record's fields; newlines and delimiters inside quotes do not count."""

    def __init__(self, delimiters: bytes) -> None:
        self._outside_quotes, self._all = _Lines(delimiters), _Lines(delimiters)
        self._quoted = self._open_line = False

    def feed(self, block: bytes) -> None:
        """Count a piece of the text."""
        if not block:
            return
        self._all.feed(block)
        self._open_line = not block.endswith(b"\n")
        for piece in block.split(b'"'):
            if not self._quoted:
                self._outside_quotes.feed(piece)
            self._quoted = not self._quoted
        self._quoted = not self._quoted

    def totals(self) -> tuple[int, int]:
        """Records and fields. An odd number of quotes has a stray one: then every line is a record."""
        lines = self._all if self._quoted else self._outside_quotes
        return lines.newlines + self._open_line, lines.fields()
