"""Cutting a text into the passages that a search finds.

A passage has MIN_CHARS to MAX_CHARS characters (the last one of a text, and the only one of a short text,
may have fewer) and ends where a section, a paragraph or a sentence does, if there is such an end. It begins
with the end of the one before, up to OVERLAP_CHARS of it, unless a section begins there.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

MIN_CHARS = 1_000
TARGET_CHARS = 2_000
MAX_CHARS = 4_000
OVERLAP_CHARS = 200
LAST_CHARS = TARGET_CHARS + MIN_CHARS // 2
"""A rest of this length stays one passage."""

CUTTING_VERSION = "1"
"""Changes when the same text is cut elsewhere."""

_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_SENTENCE = re.compile(
    # an end mark, what closes after it, and space; the full stops of East Asia need no space
    r"""[.!?…؟۔।॥][)\]"'”’»]*\s+|[。！？｡；][」』）”’]*\s*|\n+"""
)
_SPACE = re.compile(r"\s+")


def passages(pieces: Iterable[str], section_starts: Sequence[int] = ()) -> Iterator[tuple[int, str]]:
    """The passages of a text that comes in pieces: where each begins, in characters, and its text.

    section_starts: where sections begin, ascending. A text of any length is held MAX_CHARS and a piece at a
    time.
    """
    starts = list(section_starts)
    buffer, base, at = "", 0, 0
    for piece in pieces:
        buffer, base, at = buffer[at:] + piece, base + at, 0
        # the last passage needs to know that it is the last
        while len(buffer) - at > MAX_CHARS + LAST_CHARS:
            end, following = _cut(buffer, at, base, starts)
            yield base + at, buffer[at:end]
            at = following
    while len(buffer) - at > LAST_CHARS:
        end, following = _cut(buffer, at, base, starts)
        yield base + at, buffer[at:end]
        at = following
    if at < len(buffer):
        yield base + at, buffer[at:]


def _cut(buffer: str, at: int, base: int, starts: list[int]) -> tuple[int, int]:
    """Where the passage that begins at `at` ends, and where the next one begins."""
    section = bisect_left(starts, base + at + MIN_CHARS)
    if section < len(starts) and starts[section] - base <= at + LAST_CHARS:
        end = starts[section] - base
        return end, end
    end = _end(buffer, at)
    return end, _overlapped(buffer, at, end)


def _end(buffer: str, at: int) -> int:
    least, target, most = at + MIN_CHARS, at + TARGET_CHARS, min(at + MAX_CHARS, len(buffer))
    for border in (_PARAGRAPH, _SENTENCE):
        if (end := _last(border, buffer, least, target)) is not None:
            return end
    later = _SENTENCE.search(buffer, target, most)
    if later:
        return later.end()
    return _last(_SPACE, buffer, least, target) or target


def _last(border: re.Pattern[str], buffer: str, start: int, end: int) -> int | None:
    found = None
    for match in border.finditer(buffer, start, end):
        found = match.end()
    return found


def _overlapped(buffer: str, at: int, end: int) -> int:
    """Where the next passage begins: with the last sentences, or words, of this one."""
    earliest = max(at + 1, end - OVERLAP_CHARS)
    for border in (_SENTENCE, _SPACE):
        match = border.search(buffer, earliest, end)
        if match and match.end() < end:
            return match.end()
    return end
