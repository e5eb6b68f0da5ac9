"""Markdown: kept word for word; headings become sections, pipe tables become tables."""

from __future__ import annotations

from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from rlm_rs.parser.canonical import clean
from rlm_rs.parser.encodings import decode
from rlm_rs.parser.formats.plain import copy_text
from rlm_rs.parser.outcome import SourceFile
from rlm_rs.parser.renderer import Renderer
from rlm_rs.parser.structure import Heading, TableSpan


def render(source: SourceFile, out: Renderer) -> None:
    """Copy the text and find its structure. A text too large for that is kept without."""
    if source.byte_length > source.limits.structure_bytes:
        copy_text(source, out)
        out.warn("It is too large to look for its headings; the text is complete.")
        return
    text, warning = decode(source.path.read_bytes())
    if warning:
        out.warn(warning)
    text = clean(text)
    out.verbatim(text.encode())
    _find_structure(text, out)


def _find_structure(text: str, out: Renderer) -> None:
    starts = _line_starts(text)
    tokens = _block_tokens(_without_front_matter(text))
    for index, token in enumerate(tokens):
        if token.map is None:
            continue
        start, end = starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)]
        if token.type == "heading_open" and tokens[index + 1].content.strip():
            out.headings.append(Heading(tokens[index + 1].content, int(token.tag[1:]), start))
        elif token.type == "table_open":
            out.tables.append(_table(tokens[index + 1 :], start, end))
    out.title = out.headings[0].title.strip() if out.headings and out.headings[0].level == 1 else None


def _block_tokens(text: str) -> list[Token]:
    """Tokens of the block structure only: inline markup is of no interest here and takes most of the time."""
    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser.parse(text)


def _line_starts(text: str) -> list[int]:
    """Positions of all lines, and of the end."""
    starts = [0]
    at = text.find("\n")
    while at >= 0:
        starts.append(at + 1)
        at = text.find("\n", at + 1)
    return starts if starts[-1] == len(text) else [*starts, len(text)]


def _without_front_matter(text: str) -> str:
    """Blank out YAML front matter, line for line: its last line would read as an underlined heading."""
    if not text.startswith("---\n"):
        return text
    end = text.find("\n---\n", 3)
    if end < 0:
        return text
    lines = text.count("\n", 0, end + 5)
    return "\n" * lines + text[end + 5 :]


def _table(tokens: Sequence[Token], start: int, end: int) -> TableSpan:
    rows = cols = 0
    for token in tokens:
        if token.type == "table_close":
            break
        rows += token.type == "tr_open"
        cols += token.type == "th_open"
    return TableSpan(start, end, rows, cols)
