"""The `re` module of step code: Python's own for strings, the text engine for documents.

A document is searched where it lies, and the text of a match is logged as read when code takes it. `pos` and
`endpos` make the document begin and end there, also for `^`, `\\b` and lookbehind. `split`, `sub` and
`fullmatch` read the whole document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from rlm_rs.sandbox.context import DocView, regex_of, source_of
from rlm_rs.sandbox.hidden import conceal
from rlm_rs.sandbox.regex import Regex, Span
from rlm_rs.sandbox.shelf import Source


class DocMatch:
    """A match in a document, with the methods of `re.Match`. Offsets are those of the document."""

    __slots__ = ("_place", "endpos", "pos", "re", "string")

    def group(self, *groups: int | str) -> Any:
        """The text of the match or of one or more groups."""
        if len(groups) > 1:
            return tuple(self[group] for group in groups)
        return self[groups[0] if groups else 0]

    def __getitem__(self, group: int | str) -> str | None:
        return _place_of(self).text(self._number(group))

    def groups(self, default: Any = None) -> tuple[Any, ...]:
        """The texts of all groups."""
        return tuple(default if (text := self[n]) is None else text for n in range(1, self.re.groups + 1))

    def groupdict(self, default: Any = None) -> dict[str, Any]:
        """The texts of the named groups."""
        return {name: default if (text := self[name]) is None else text for name in self.re.groupindex}

    def span(self, group: int | str = 0) -> Span:
        """Where the match or a group lies; (-1, -1) for a group that took no part."""
        return _place_of(self).span(self._number(group))

    def start(self, group: int | str = 0) -> int:
        """Where the match or a group begins."""
        return self.span(group)[0]

    def end(self, group: int | str = 0) -> int:
        """Where the match or a group ends."""
        return self.span(group)[1]

    @property
    def lastindex(self) -> int | None:
        """The number of the group that closed last."""
        taken = [(self.end(n), -n) for n in range(1, self.re.groups + 1) if self.start(n) >= 0]
        return -max(taken)[1] if taken else None

    @property
    def lastgroup(self) -> str | None:
        """The name of the group that closed last."""
        return {number: name for name, number in self.re.groupindex.items()}.get(self.lastindex or 0)

    def _number(self, group: int | str) -> int:
        number = self.re.groupindex.get(group, -1) if isinstance(group, str) else group
        if not 0 <= number <= self.re.groups:
            raise IndexError("no such group")
        return number

    def __repr__(self) -> str:
        return f"<re.Match object; span={self.span()}, match={self.group()[:50]!r}>"

    re: Pattern
    string: DocView
    pos: int
    endpos: int


class _Place:
    """Where a match lies in its document; its groups are found when first asked for."""

    def __init__(self, source: Source, regex: Regex, data: memoryview, base: int, span: Span) -> None:
        self._source = source
        self._regex = regex
        self._data = data
        self._base = base
        self._spans: tuple[Span, ...] = (span,)

    def span(self, number: int) -> Span:
        if number >= len(self._spans):
            self._spans = self._regex.groups(self._data, self._source.text.is_ascii, self._spans[0])
        start, end = self._spans[number]
        if start < 0:
            return -1, -1
        first, last = self._source.text.chars_of(self._base + start, self._base + end)
        return first - self._source.start, last - self._source.start

    def text(self, number: int) -> str | None:
        start, end = self.span(number)
        return None if start < 0 else self._source.hit_text(start, end)


_place_of: Callable[[Any], _Place]
_place_of, _put_place = conceal(DocMatch, "_place")


class Pattern:
    """A compiled pattern that takes strings and documents."""

    __slots__ = ("_real",)

    def __init__(self, real: re.Pattern[Any]) -> None:
        self._real = real

    @property
    def pattern(self) -> Any:
        """The pattern as written."""
        return self._real.pattern

    @property
    def flags(self) -> int:
        """Its flags."""
        return self._real.flags

    @property
    def groups(self) -> int:
        """How many groups it has."""
        return self._real.groups

    @property
    def groupindex(self) -> Any:
        """Names of groups and their numbers."""
        return self._real.groupindex

    def finditer(self, string: Any, pos: int = 0, endpos: int | None = None) -> Iterator[Any]:
        """Matches from left to right."""
        if not isinstance(string, DocView):
            return self._real.finditer(string, *_from(pos, endpos))
        return self._in_document(string, pos, endpos)

    def search(self, string: Any, pos: int = 0, endpos: int | None = None) -> Any:
        """The first match, or None."""
        if not isinstance(string, DocView):
            return self._real.search(string, *_from(pos, endpos))
        return next(self._in_document(string, pos, endpos), None)

    def match(self, string: Any, pos: int = 0, endpos: int | None = None) -> Any:
        """The match at the beginning, or None."""
        if not isinstance(string, DocView):
            return self._real.match(string, *_from(pos, endpos))
        found = next(self._in_document(string, pos, endpos), None)
        return found if found is not None and found.start() == found.pos else None

    def fullmatch(self, string: Any, pos: int = 0, endpos: int | None = None) -> Any:
        """The match of the whole text, or None."""
        return self._real.fullmatch(_text(string), *_from(pos, endpos))

    def findall(self, string: Any, pos: int = 0, endpos: int | None = None) -> list[Any]:
        """The texts of all matches, or of their groups."""
        if not isinstance(string, DocView):
            return self._real.findall(string, *_from(pos, endpos))
        return [_found(match) for match in self.finditer(string, pos, endpos)]

    def split(self, string: Any, maxsplit: int = 0) -> list[Any]:
        """The pieces between matches."""
        return self._real.split(_text(string), maxsplit)

    def sub(self, repl: Any, string: Any, count: int = 0) -> Any:
        """The text with matches replaced."""
        return self._real.sub(repl, _text(string), count)

    def subn(self, repl: Any, string: Any, count: int = 0) -> Any:
        """The text with matches replaced, and their number."""
        return self._real.subn(repl, _text(string), count)

    def _in_document(self, view: DocView, pos: int, endpos: int | None) -> Iterator[DocMatch]:
        source, regex = source_of(view), regex_of(self._real)
        start, end = source.bounds(max(pos, 0), endpos)
        for data, base, span in source.raw_matches(regex, start, end):
            yield self._match(view, (start, end), _Place(source, regex, data, base, span))

    def _match(self, view: DocView, bounds: Span, place: _Place) -> DocMatch:
        match = DocMatch()
        _put_place(match, place)
        match.re, match.string, (match.pos, match.endpos) = self, view, bounds
        return match

    def __repr__(self) -> str:
        return repr(self._real)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self._real == other._real

    def __hash__(self) -> int:
        return hash(self._real)


def _from(pos: int, endpos: int | None) -> tuple[int, ...]:
    return (pos,) if endpos is None else (pos, endpos)


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, DocView) else value


def _found(match: DocMatch) -> Any:
    if not match.re.groups:
        return match.group()
    groups = match.groups("")
    return groups[0] if len(groups) == 1 else groups


def compile_(pattern: Any, flags: int = 0) -> Pattern:
    """The pattern, compiled. Raises `re.error` when it is not one."""
    if isinstance(pattern, Pattern):
        return pattern
    return Pattern(re.compile(pattern, flags))


def names() -> dict[str, Any]:
    """What differs from the real module."""
    return {
        "compile": compile_,
        "Pattern": Pattern,
        "search": lambda pattern, string, flags=0: compile_(pattern, flags).search(string),
        "match": lambda pattern, string, flags=0: compile_(pattern, flags).match(string),
        "fullmatch": lambda pattern, string, flags=0: compile_(pattern, flags).fullmatch(string),
        "findall": lambda pattern, string, flags=0: compile_(pattern, flags).findall(string),
        "finditer": lambda pattern, string, flags=0: compile_(pattern, flags).finditer(string),
        "split": lambda pattern, string, maxsplit=0, flags=0: compile_(pattern, flags).split(
            string, maxsplit
        ),
        "sub": lambda pattern, repl, string, count=0, flags=0: compile_(pattern, flags).sub(
            repl, string, count
        ),
        "subn": lambda pattern, repl, string, count=0, flags=0: compile_(pattern, flags).subn(
            repl, string, count
        ),
    }
