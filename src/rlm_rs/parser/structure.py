"""Sections, pages and tables as ranges of the canonical text. Offsets are code points."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

META_VERSION = "1.0"
_MAX_TITLE_CHARS = 300


@dataclass(frozen=True, slots=True)
class Heading:
    """Where a section starts. Level 1 is the outermost."""

    title: str
    level: int
    start_char: int


@dataclass(frozen=True, slots=True)
class PageSpan:
    """One page (or slide), numbered from 1."""

    page_num: int
    start_char: int
    end_char: int

    def to_dict(self) -> dict[str, int]:
        """As it stands in meta.json."""
        return {"page_num": self.page_num, "start_char": self.start_char, "end_char": self.end_char}


@dataclass(frozen=True, slots=True)
class TableSpan:
    """One table; `rows` and `cols` count its cells, heading row included."""

    start_char: int
    end_char: int
    rows: int
    cols: int


def build_meta(
    title: str | None,
    headings: Sequence[Heading],
    pages: Sequence[PageSpan],
    tables: Sequence[TableSpan],
    char_length: int,
) -> dict[str, Any]:
    """The content of meta.json.

    `structure.sections` and `structure.children` (the name the first service used) are the same list.
    """
    locate = _PageFinder(pages)
    sections = _nest(headings, char_length, locate)
    return {
        "version": META_VERSION,
        "structure": {"title": title, "sections": sections, "children": sections},
        "pages": [page.to_dict() for page in pages],
        "tables": [_table(table, locate) for table in tables],
    }


def _nest(headings: Sequence[Heading], end: int, locate: _PageFinder) -> list[dict[str, Any]]:
    """A section ends where the next one of its level or above starts; deeper ones are its children."""
    roots: list[dict[str, Any]] = []
    open_sections: list[dict[str, Any]] = []
    for heading in sorted(headings, key=lambda item: item.start_char):
        while open_sections and open_sections[-1]["level"] >= heading.level:
            open_sections.pop()["end_char"] = heading.start_char
        section = _section(heading, end, locate)
        (open_sections[-1]["children"] if open_sections else roots).append(section)
        open_sections.append(section)
    return roots


def _section(heading: Heading, end: int, locate: _PageFinder) -> dict[str, Any]:
    section: dict[str, Any] = {
        "title": " ".join(heading.title.split())[:_MAX_TITLE_CHARS],
        "level": heading.level,
        "start_char": heading.start_char,
        "end_char": end,
        "children": [],
    }
    page = locate.page_of(heading.start_char)
    return section if page is None else {**section, "page": page}


def _table(table: TableSpan, locate: _PageFinder) -> dict[str, Any]:
    return {
        "start_char": table.start_char,
        "end_char": table.end_char,
        "page": locate.page_of(table.start_char),
        "rows": table.rows,
        "cols": table.cols,
    }


class _PageFinder:
    """Finds the page a position is on."""

    def __init__(self, pages: Sequence[PageSpan]) -> None:
        self._starts = [page.start_char for page in pages]
        self._pages = pages

    def page_of(self, position: int) -> int | None:
        """The number of the last page that starts at or before `position`; None without pages."""
        from_right = bisect_right(self._starts, position)
        return self._pages[from_right - 1].page_num if from_right else None


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write JSON with sorted keys, so that the same content is the same bytes."""
    path.write_bytes(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
