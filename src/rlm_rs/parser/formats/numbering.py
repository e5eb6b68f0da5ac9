"""Numbers of DOCX lists as a reader sees them: `2.1`, `(a)`, `iv.` (ECMA-376 part 1, 17.9).

They are not in the text of the file, but contracts refer to their clauses by them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lxml import etree

from rlm_rs.parser.formats.ooxml import attribute, child, elements

_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"),
    (50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_LEVELS = 9


@dataclass(frozen=True, slots=True)
class _Level:
    start: int
    format: str
    text: str
    legal: bool


class Numbering:
    """Counts the items of all lists of a document, in the order they are asked for."""

    def __init__(self, root: etree._Element | None) -> None:
        abstract = elements(root, "abstractNum") if root is not None else iter(())
        self._levels = {attribute(item, "abstractNumId"): _levels(item) for item in abstract}
        numbers = elements(root, "num") if root is not None else iter(())
        self._numbers = {attribute(item, "numId") or "": item for item in numbers}
        self._counters: dict[str | None, list[int | None]] = {}
        self._restarted: set[tuple[str, int]] = set()

    def next_label(self, num_id: str, level: int) -> str:
        """The label of the next item of that list and level: empty if the list is unknown or unlabelled."""
        number = self._numbers.get(num_id)
        abstract_id = attribute(child(number, "abstractNumId"), "val")
        levels = self._levels.get(abstract_id)
        if number is None or not levels or level not in levels:
            return ""
        counters = self._counters.setdefault(abstract_id, [None] * _LEVELS)
        self._restart_if_told(num_id, number, level, counters)
        _count(counters, level, levels)
        return _label(counters, level, levels)

    def _restart_if_told(
        self, num_id: str, number: etree._Element, level: int, counters: list[int | None]
    ) -> None:
        for override in elements(number, "lvlOverride"):
            at = attribute(override, "ilvl")
            start = attribute(child(override, "startOverride"), "val")
            if at == str(level) and start and start.isdigit() and (num_id, level) not in self._restarted:
                self._restarted.add((num_id, level))
                counters[level] = int(start) - 1


def _levels(abstract: etree._Element) -> dict[int, _Level]:
    levels = {}
    for item in elements(abstract, "lvl"):
        at = attribute(item, "ilvl") or ""
        if at.isdigit() and int(at) < _LEVELS:
            levels[int(at)] = _level(item)
    return levels


def _level(item: etree._Element) -> _Level:
    start = attribute(child(item, "start"), "val") or "1"
    return _Level(
        start=int(start) if start.isdigit() else 1,
        format=attribute(child(item, "numFmt"), "val") or "decimal",
        text=attribute(child(item, "lvlText"), "val") or "",
        legal=child(item, "isLgl") is not None,
    )


def _count(counters: list[int | None], level: int, levels: dict[int, _Level]) -> None:
    """Advance one level; a level above that was never used stands at its start; deeper ones start over."""
    for above in range(level):
        if counters[above] is None and above in levels:
            counters[above] = levels[above].start
    current = counters[level]
    counters[level] = levels[level].start if current is None else current + 1
    counters[level + 1 :] = [None] * (_LEVELS - level - 1)


def _label(counters: list[int | None], level: int, levels: dict[int, _Level]) -> str:
    shown = levels[level]
    if shown.format == "bullet":
        return "-"
    if shown.format == "none":
        return ""

    def number(match: re.Match[str]) -> str:
        at = int(match.group(1)) - 1
        value = counters[at] if 0 <= at < _LEVELS else None
        style = "decimal" if shown.legal or at not in levels else levels[at].format
        return "" if value is None else _format(value, style)

    return re.sub(r"%([1-9])", number, shown.text).strip()


def _format(value: int, style: str) -> str:
    if style in ("lowerLetter", "upperLetter"):
        letters = (
            chr(ord("a") + (value - 1) % 26) * ((value - 1) // 26 + 1) if 0 < value < 2600 else str(value)
        )
        return letters if style == "lowerLetter" else letters.upper()
    if style in ("lowerRoman", "upperRoman"):
        return _roman(value) if style == "lowerRoman" else _roman(value).upper()
    if style == "decimalZero":
        return f"{value:02d}"
    return str(value)


def _roman(value: int) -> str:
    if not 0 < value < 4000:
        return str(value)
    digits = []
    for amount, letters in _ROMAN:
        digits.append(letters * (value // amount))
        value %= amount
    return "".join(digits)
