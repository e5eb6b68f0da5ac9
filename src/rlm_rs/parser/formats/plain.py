"""Plain text, source code, JSON and other text: kept word for word.

Form feeds are page breaks, as in the output of `pdftotext` and in RFCs.
"""

from __future__ import annotations

from collections.abc import Iterator

import stringzilla

from rlm_rs.parser import media
from rlm_rs.parser.encodings import encoding_of, read_canonical
from rlm_rs.parser.outcome import SourceFile
from rlm_rs.parser.renderer import Renderer
from rlm_rs.parser.structure import PageSpan


def render(source: SourceFile, out: Renderer) -> None:
    """Copy the text; record pages when it is plain text with form feeds."""
    breaks = copy_text(source, out)
    if 0 < len(breaks) <= source.limits.pages and media.guess_type(source.name) in (
        media.PLAIN,
        "application/octet-stream",
    ):
        out.pages.extend(_pages(breaks, out.position))


def copy_text(source: SourceFile, out: Renderer) -> list[int]:
    """Write the file's text as canonical text; returns the positions of its form feeds."""
    encoding = encoding_of(source.path, source.head)
    if encoding.warning:
        out.warn(encoding.warning)
    breaks: list[int] = []
    for block in read_canonical(source.path, encoding):
        if len(breaks) <= source.limits.pages:
            breaks.extend(_form_feeds(block, out.position))
        out.verbatim(block)
    return breaks


def _form_feeds(block: bytes, start: int) -> Iterator[int]:
    """Positions of the form feeds of a piece whose first character is number `start`."""
    at, chars = block.find(b"\f"), 0
    before = 0
    while at >= 0:
        chars += stringzilla.utf8_count(block[before:at])
        yield start + chars
        before, at = at, block.find(b"\f", at + 1)


def _pages(breaks: list[int], end: int) -> list[PageSpan]:
    starts = [0, *(at + 1 for at in breaks)]
    spans = [
        PageSpan(number, *span) for number, span in enumerate(zip(starts, [*breaks, end], strict=True), 1)
    ]
    return spans[:-1] if spans[-1].start_char == end else spans
