"""Python regular expressions over UTF-8 bytes where they lie: RE2 finds, `re` decides what RE2 cannot say.

Chosen by pattern and text, with the spans that `re.finditer` gives on the decoded text:

- RE2 alone, in linear time: everything but the following.
- RE2 proposes and `re` confirms on a small window: patterns with a Unicode `\\b` on text that is not ASCII.
- RE2 on windows of 64 MB, on texts larger than that: there a match longer than a megabyte may be missed.
- `re` on windows of a megabyte: lookaround, backreferences, possessive and conditional groups, repeats
  above 1,000, and a `$` that is not last. There a match longer than 64 KB may be cut, and lookbehind sees
  4 KB. This way can take exponential time; the clock of the step ends it.

Groups are Python's too, but for a group that a repeat entered once more only to match nothing, as in
`(a*)*`: there RE2 reports its last non-empty text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import re2

from rlm_rs.sandbox import windows
from rlm_rs.sandbox.pattern import Translation, Untranslatable, translate
from rlm_rs.sandbox.text import following, preceding
from rlm_rs.sandbox.windows import boundary, release

Span = tuple[int, int]

WINDOW = 1 << 20
OVERLAP = 1 << 16
LOOK_BEHIND = 1 << 12
REACH = 1 << 20
_RE2_MEMORY = 64 << 20


@lru_cache(maxsize=256)
def regex(pattern: str, flags: int = 0) -> Regex:
    """The compiled pattern. Raises `re.error` when it is not one."""
    return Regex(pattern, flags)


class Regex:
    """One pattern, compiled for the kinds of text it meets as it meets them."""

    __slots__ = ("_captures", "_engines", "real")

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self.real = re.compile(pattern, flags)
        self._engines: dict[bool, _Engine | None] = {}
        self._captures: dict[bool, _Engine | None] = {}

    def spans(self, data: memoryview, is_ascii: bool) -> Iterator[Span]:
        """Byte ranges of all matches in `data`, as `re.finditer` finds them in the decoded text."""
        engine = self._engine(is_ascii)
        if engine is None or not data or (engine.relaxed and engine.may_be_empty):
            return _windowed(self.real, data)
        return _confirmed(self.real, engine, data) if engine.relaxed else _linear(self.real, engine, data)

    def groups(self, data: memoryview, is_ascii: bool, span: Span) -> tuple[Span, ...]:
        """Byte ranges of the whole match `span` and of its groups, (-1, -1) for one that took no part."""
        engine = self._capturing(is_ascii)
        found = engine.groups(data, span) if engine is not None and not engine.relaxed else None
        return found or _groups_by_re(self.real, data, span)

    def _engine(self, is_ascii: bool) -> _Engine | None:
        if is_ascii not in self._engines:
            self._engines[is_ascii] = _engine_for(self.real, is_ascii, captures=False)
        return self._engines[is_ascii]

    def _capturing(self, is_ascii: bool) -> _Engine | None:
        if is_ascii not in self._captures:
            self._captures[is_ascii] = _engine_for(self.real, is_ascii, captures=True)
        return self._captures[is_ascii]


class _Engine:
    """A translated pattern with its RE2 programs."""

    __slots__ = ("_longest", "_program", "_translation")

    def __init__(self, translation: Translation) -> None:
        self._translation = translation
        self._program = _compile(translation.source, longest=False)
        self._longest: Any = None

    @property
    def relaxed(self) -> bool:
        return self._translation.relaxed

    @property
    def may_be_empty(self) -> bool:
        return self._translation.may_be_empty

    def search(self, data: memoryview, position: int) -> Span | None:
        match = self._search(data, position)
        return match and (match.start(), self._end(match))

    def _search(self, data: memoryview, position: int) -> Any:
        """The next match, a window at a time where much lies ahead."""
        while len(data) - position > windows.WINDOW + REACH:
            stop = position + windows.WINDOW + REACH
            match = self._program.search(data, position, stop)
            if match is not None and (match.end() <= stop - REACH or match.start() == position):
                return match if match.end() < stop else self._program.search(data, position)
            begin = position + windows.WINDOW if match is None else match.start()
            release(data, position, begin)
            position = boundary(data, begin)
        return self._program.search(data, position)

    def furthest(self, data: memoryview, position: int) -> int:
        """Where the longest match that begins at `position` ends."""
        if self._longest is None:
            self._longest = _compile(self._translation.source, longest=True)
        match = self._longest.match(data, position)
        return self._end(match) if match else position

    def groups(self, data: memoryview, span: Span) -> tuple[Span, ...] | None:
        match = self._program.match(data, span[0])
        if match is None or self._end(match) != span[1]:
            return None
        ends = [match.span(number) for number in self._translation.groups]
        return (span, *((start, min(end, span[1])) for start, end in ends))

    def _end(self, match: Any) -> int:
        taken = [match.start(group) for group in self._translation.tails]
        ends: list[int] = [match.end(), *(start for start in taken if start >= 0)]
        return min(ends)


def _compile(source: str, *, longest: bool) -> Any:
    options = re2.Options()
    options.max_mem = _RE2_MEMORY
    options.log_errors = False
    options.longest_match = longest
    return re2.compile(source, options)


def _engine_for(real: re.Pattern[str], is_ascii: bool, *, captures: bool) -> _Engine | None:
    flags = real.flags & ~re.UNICODE
    try:
        translation = translate(real.pattern, flags, ascii_text=is_ascii, captures=captures)
        return _Engine(translation)
    except (Untranslatable, re2.error):
        return None


def _linear(real: re.Pattern[str], engine: _Engine, data: memoryview) -> Iterator[Span]:
    position = 0
    while position <= len(data) and (span := engine.search(data, position)):
        yield span
        position = span[1]
        if span[0] == span[1]:
            longer = _nonempty_at(real, engine, data, position)
            if longer:
                yield longer
            position = longer[1] if longer else following(data, position)


def _nonempty_at(real: re.Pattern[str], engine: _Engine, data: memoryview, position: int) -> Span | None:
    """After an empty match Python tries the same place again for one that is not empty."""
    furthest = engine.furthest(data, position)
    if furthest == position:
        return None
    start = preceding(data, position)
    text, lead = _window(data, start, position, furthest)
    found = [match for match in real.finditer(text, lead) if match.start() == lead < match.end()]
    return (position, position + len(found[0].group().encode())) if found else None


def _confirmed(real: re.Pattern[str], engine: _Engine, data: memoryview) -> Iterator[Span]:
    position = 0
    while position <= len(data) and (proposal := engine.search(data, position)):
        start = proposal[0]
        text, lead = _window(data, preceding(data, start), start, engine.furthest(data, start))
        match = real.match(text, lead)
        if match is None:
            position = following(data, start)
        else:
            position = start + len(match.group().encode())
            yield start, position


def _window(data: memoryview, begin: int, start: int, end: int) -> tuple[str, int]:
    """The text from `begin` to two characters after `end` , enough for `\\b` and `$`; where `start` is."""
    stop = min(len(data), following(data, min(following(data, end), len(data))))
    return str(data[begin:stop], "utf-8"), len(str(data[begin:start], "utf-8"))


def _windowed(real: re.Pattern[str], data: memoryview) -> Iterator[Span]:
    start = 0
    while start <= len(data):
        stop = boundary(data, min(len(data), start + WINDOW))
        begin = boundary(data, max(0, start - LOOK_BEHIND))
        text, lead = str(data[begin:stop], "utf-8"), len(str(data[begin:start], "utf-8"))
        is_last = stop == len(data)
        at_char, at_byte, resume = lead, start, max(start + 1, stop - OVERLAP)
        for match in real.finditer(text, lead):
            first = at_byte + len(text[at_char : match.start()].encode())
            if not is_last and match.end() > len(text) - OVERLAP and match.start() > lead:
                resume = first
                break
            at_char, at_byte = match.end(), first + len(match.group().encode())
            yield first, at_byte
            resume = max(resume, at_byte if match.group() else following(data, at_byte))
        if is_last:
            return
        start = boundary(data, resume)


def _groups_by_re(real: re.Pattern[str], data: memoryview, span: Span) -> tuple[Span, ...]:
    begin = boundary(data, max(0, span[0] - LOOK_BEHIND))
    stop = boundary(data, min(len(data), span[1] + LOOK_BEHIND))
    text, lead = str(data[begin:stop], "utf-8"), len(str(data[begin : span[0]], "utf-8"))
    match = real.match(text, lead)
    wanted = lead + len(str(data[span[0] : span[1]], "utf-8"))
    if match is None or match.end() != wanted:
        match = real.fullmatch(text, lead, wanted)
    if match is None:
        return (span, *((-1, -1) for _ in range(real.groups)))
    spans = [match.span(number) for number in range(real.groups + 1)]
    return tuple((_byte(text, begin, a), _byte(text, begin, b)) if a >= 0 else (-1, -1) for a, b in spans)


def _byte(text: str, begin: int, char: int) -> int:
    return begin + len(text[:char].encode())
