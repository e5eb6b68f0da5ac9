"""Python regular expressions in the syntax of RE2, with Python's meaning.

A pattern is parsed by Python's own parser and written out again. What RE2 cannot say exactly is either
relaxed (a Unicode `\\b`, to be confirmed by `re` where it matters) or refused with `Untranslatable`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rlm_rs.sandbox import charset
from rlm_rs.sandbox.charset import Ranges

_parser = importlib.import_module("re._parser")

_RE2_REPEATS = 1_000


class Untranslatable(Exception):
    """RE2 has no equal of this construct."""


@dataclass(frozen=True, slots=True)
class Translation:
    """A pattern for RE2.

    groups: the RE2 number of each Python group, in order (empty when captures were not asked for).
    tails: RE2 groups that consumed the final newline before which `$` stands; a match ends before them.
    relaxed: a word boundary was left out, so a match must be confirmed.
    may_be_empty: the pattern can match the empty string.
    """

    source: str
    groups: tuple[int, ...]
    tails: tuple[int, ...]
    relaxed: bool
    may_be_empty: bool


def translate(pattern: str, flags: int, *, ascii_text: bool, captures: bool) -> Translation:
    """Write `pattern` for RE2. `ascii_text` promises that the searched text is ASCII.

    Raises `re.error` for a bad pattern and `Untranslatable` for one that RE2 cannot express.
    """
    parsed = _parser.parse(pattern, flags)
    writer = _Writer(ascii_text, captures)
    source = writer.sequence(parsed, parsed.state.flags, tail=True)
    groups = tuple(number for _, number in sorted(writer.groups.items()))
    return Translation(source, groups, tuple(writer.tails), writer.relaxed, not parsed.getwidth()[0])


class _Writer:
    """One translation under way."""

    def __init__(self, ascii_text: bool, captures: bool) -> None:
        self.ascii_text = ascii_text
        self.captures = captures
        self.groups: dict[int, int] = {}
        self.tails: list[int] = []
        self.relaxed = False
        self._opened = 0

    def sequence(self, items: Sequence[tuple[Any, Any]], flags: int, tail: bool) -> str:
        last = len(items) - 1
        return "".join(
            self._item(op, value, flags, tail and i == last) for i, (op, value) in enumerate(items)
        )

    def _item(self, op: Any, value: Any, flags: int, tail: bool) -> str:
        write = _WRITERS.get(op.name)
        if write is None:
            raise Untranslatable(op.name.lower())
        return write(self, value, flags, tail)

    def _open(self) -> int:
        self._opened += 1
        return self._opened

    def literal(self, char: int, flags: int, _tail: bool) -> str:
        return self._set(_one(char), flags) if self._folds(char, flags) else self._plain(_one(char))

    def not_literal(self, char: int, flags: int, _tail: bool) -> str:
        return self._plain(charset.complement(self._folded(_one(char), flags)))

    def any(self, _value: None, flags: int, _tail: bool) -> str:
        return r"(?s:.)" if flags & re.DOTALL else r"[^\n]"

    def members(self, value: Sequence[tuple[Any, Any]], flags: int, _tail: bool) -> str:
        negated = value[0][0].name == "NEGATE"
        parts = [self._member(op.name, item, flags) for op, item in value[negated:]]
        ranges = self._folded(charset.union(parts), flags)
        return self._plain(charset.complement(ranges) if negated else ranges)

    def _member(self, name: str, item: Any, flags: int) -> Ranges:
        if name == "LITERAL":
            return _one(item)
        if name == "RANGE":
            return (tuple(item),)
        return self._category(item.name, flags)

    def _category(self, name: str, flags: int) -> Ranges:
        kind = name.rsplit("_", 1)[1].lower()
        ranges = charset.category(kind, ascii_flag=bool(flags & re.ASCII), ascii_text=self.ascii_text)
        return charset.complement(ranges) if "_NOT_" in name else ranges

    def _folds(self, char: int, flags: int) -> bool:
        return bool(flags & re.IGNORECASE) and charset.is_cased(char, bool(flags & re.ASCII))

    def _folded(self, ranges: Ranges, flags: int) -> Ranges:
        return charset.ignoring_case(ranges, bool(flags & re.ASCII)) if flags & re.IGNORECASE else ranges

    def _set(self, ranges: Ranges, flags: int) -> str:
        return self._plain(self._folded(ranges, flags))

    def _plain(self, ranges: Ranges) -> str:
        """Surrogates never occur in a text, and on ASCII text nothing else does either."""
        if self.ascii_text:
            return charset.as_class(charset.intersection(ranges, 0, 0x7F))
        below = charset.intersection(ranges, 0, 0xD7FF)
        return charset.as_class(below + charset.intersection(ranges, 0xE000, charset.LAST))

    def branch(self, value: tuple[None, list[Any]], flags: int, tail: bool) -> str:
        return "(?:" + "|".join(self.sequence(option, flags, tail) for option in value[1]) + ")"

    def group(self, value: tuple[int | None, int, int, Any], flags: int, tail: bool) -> str:
        number, added, removed, items = value
        opening = "(?:"
        if number is not None and self.captures:
            self.groups[number] = self._open()
            opening = "("
        return opening + self.sequence(items, (flags | added) & ~removed, tail) + ")"

    def greedy(self, value: tuple[int, Any, Any], flags: int, _tail: bool) -> str:
        low, high, items = value
        return f"(?:{self.sequence(items, flags, False)}){_quantifier(low, high)}"

    def lazy(self, value: tuple[int, Any, Any], flags: int, tail: bool) -> str:
        return self.greedy(value, flags, tail) + "?"

    def position(self, value: Any, flags: int, tail: bool) -> str:
        name = value.name
        if "BOUNDARY" in name:
            return self._boundary(name, flags)
        if flags & re.MULTILINE and name in ("AT_BEGINNING", "AT_END"):
            return "(?m:^)" if name == "AT_BEGINNING" else "(?m:$)"
        return self._end(tail) if name == "AT_END" else {"AT_END_STRING": r"\z"}.get(name, r"\A")

    def _boundary(self, name: str, flags: int) -> str:
        if self.ascii_text:
            return r"\b" if name == "AT_BOUNDARY" else r"\B"
        if flags & re.ASCII and name == "AT_BOUNDARY":
            return r"\b"
        self.relaxed = True
        return "(?:)"

    def _end(self, tail: bool) -> str:
        """`$` also stands before a final newline; RE2 has no way to look, so a group takes the newline."""
        if not tail:
            raise Untranslatable("at_end")
        self.tails.append(self._open())
        return r"(\n)?\z"


def _one(char: int) -> Ranges:
    return ((char, char),)


def _quantifier(low: int, high: Any) -> str:
    unbounded = str(high) == "MAXREPEAT"
    if low > _RE2_REPEATS or (not unbounded and high > _RE2_REPEATS):
        raise Untranslatable("repeat")
    if unbounded:
        return {0: "*", 1: "+"}.get(low, f"{{{low},}}")
    return f"{{{low},{high}}}"


_WRITERS: dict[str, Callable[[_Writer, Any, int, bool], str]] = {
    "LITERAL": _Writer.literal,
    "NOT_LITERAL": _Writer.not_literal,
    "ANY": _Writer.any,
    "IN": _Writer.members,
    "BRANCH": _Writer.branch,
    "SUBPATTERN": _Writer.group,
    "MAX_REPEAT": _Writer.greedy,
    "MIN_REPEAT": _Writer.lazy,
    "AT": _Writer.position,
}
