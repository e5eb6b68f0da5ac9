"""Sets of characters as Python's `re` understands them, as ranges of code points.

RE2's own `\\w`, `\\d` and `\\s` are ASCII and its case folding differs from Python's in a few letters, so
patterns are written out as explicit ranges, taken from the running Python itself.
"""

from __future__ import annotations

import importlib
import re
import sys
from array import array
from collections.abc import Callable, Iterable
from functools import lru_cache

Ranges = tuple[tuple[int, int], ...]

LAST = 0x10FFFF
EVERYTHING: Ranges = ((0, LAST),)
ASCII: Ranges = ((0, 0x7F),)

# Planes 4 and above hold no letter, digit or space in any Unicode version a supported Python knows.
_LETTERS_END = 0x40000
# The last code point with a case mapping is U+1E943.
_CASED_END = 0x1F000

_sre = importlib.import_module("_sre")
_FIXES: dict[int, tuple[int, ...]] = importlib.import_module("re._casefix")._EXTRA_CASES


def union(sets: Iterable[Ranges]) -> Ranges:
    """All characters of all sets, as sorted ranges that do not touch."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(pair for ranges in sets for pair in ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def complement(ranges: Ranges) -> Ranges:
    """All characters that are not in the set, which must be sorted."""
    gaps, at = [], 0
    for low, high in ranges:
        if at < low:
            gaps.append((at, low - 1))
        at = high + 1
    if at <= LAST:
        gaps.append((at, LAST))
    return tuple(gaps)


def intersection(ranges: Ranges, low: int, high: int) -> Ranges:
    """The part of the set between `low` and `high`, both included."""
    return tuple((max(a, low), min(b, high)) for a, b in ranges if a <= high and b >= low)


@lru_cache(maxsize=12)
def category(name: str, *, ascii_flag: bool, ascii_text: bool) -> Ranges:
    """The set of `\\w` (word), `\\d` (digit) or `\\s` (space) in Python's `re`.

    ascii_flag: with `re.ASCII`. ascii_text: only the part of it within ASCII is wanted.
    """
    pattern = re.compile({"word": r"\w+", "digit": r"\d+", "space": r"\s+"}[name], re.A if ascii_flag else 0)
    if ascii_text or ascii_flag:
        return _runs(pattern, "".join(map(chr, range(0x80))))
    return _runs(pattern, _every_character())


def _runs(pattern: re.Pattern[str], text: str) -> Ranges:
    return union(((ord(text[m.start()]), ord(text[m.end() - 1])),) for m in pattern.finditer(text))


def _every_character() -> str:
    # as UTF-32 in one go: joining single characters takes seven times as long
    surrogates = range(0xD800, 0xE000)
    below, above = range(surrogates.start), range(surrogates.stop, _LETTERS_END)
    return (array("I", below) + array("I", above)).tobytes().decode(f"utf-32-{sys.byteorder[0]}e")


@lru_cache(maxsize=512)
def ignoring_case(ranges: Ranges, ascii_only: bool) -> Ranges:
    """The set together with every character that `re.IGNORECASE` treats as equal to one of it."""
    lower, capitals = _ascii_case() if ascii_only else _unicode_case()
    wanted = {lower[char] for char in _cased_of(ranges, lower)}
    if not ascii_only:
        wanted |= {other for small in wanted for other in _FIXES.get(small, ())}
    variants = [capital for small in wanted for capital in capitals.get(small, ())]
    return union([ranges, tuple((char, char) for char in (*wanted, *variants))])


def _cased_of(ranges: Ranges, lower: dict[int, int]) -> list[int]:
    if sum(high - low + 1 for low, high in ranges) < len(lower):
        return [char for low, high in ranges for char in range(low, high + 1) if char in lower]
    return [char for char in lower if any(low <= char <= high for low, high in ranges)]


def is_cased(char: int, ascii_only: bool) -> bool:
    """Whether `re.IGNORECASE` has any effect on the character."""
    return bool(_sre.ascii_iscased(char) if ascii_only else _sre.unicode_iscased(char))


@lru_cache(maxsize=1)
def _ascii_case() -> tuple[dict[int, int], dict[int, list[int]]]:
    return _case_tables([c for c in range(0x80) if _sre.ascii_iscased(c)], _sre.ascii_tolower)


@lru_cache(maxsize=1)
def _unicode_case() -> tuple[dict[int, int], dict[int, list[int]]]:
    return _case_tables(list(filter(_sre.unicode_iscased, range(_CASED_END))), _sre.unicode_tolower)


def _case_tables(
    cased: list[int], lower_of: Callable[[int], int]
) -> tuple[dict[int, int], dict[int, list[int]]]:
    lower = {char: lower_of(char) for char in cased}
    capitals: dict[int, list[int]] = {}
    for char, small in lower.items():
        capitals.setdefault(small, []).append(char)
    return lower, capitals


def as_class(ranges: Ranges) -> str:
    """The set as an RE2 character class; the empty set matches nothing."""
    if not ranges:
        return r"[^\x00-\x{10ffff}]"
    return "[" + "".join(_range_text(low, high) for low, high in ranges) + "]"


def _range_text(low: int, high: int) -> str:
    return f"\\x{{{low:x}}}" if low == high else f"\\x{{{low:x}}}-\\x{{{high:x}}}"


def prepare() -> None:
    """Make the tables of letters and of case, which takes a while, ahead of use."""
    for name in ("word", "digit", "space"):
        category(name, ascii_flag=False, ascii_text=False)
    _unicode_case()
