"""Where sentences begin and end in text as files hold it: with line breaks inside, lists, headings, code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rlm_rs.providers.fake_words import ABBREVIATIONS

LONG = 700
"""A sentence longer than this is cut at its semicolons and list marks, so that a quote stays readable."""

_LINKS = r"(?:a|an|and|as|at|by|for|from|in|of|on|or|that|the|to|under|with|which|whose)"
_HANGING = re.compile(rf"\b{_LINKS}$", re.IGNORECASE)
_JOINING = re.compile(r"(?:and|of|or|with|to|by|in accordance)\b", re.IGNORECASE)
_CAPITALS_CHARS = 45
_STOP = re.compile(r"[.!?…。！？]+[\"'”’)\]]*(?=\s|$)")
_BREAK = re.compile(r"\n")
_MARK = r"(?:\d+(?:\.\d+)+\.?|\d{1,3}[.)]|\([A-Za-z0-9]{1,4}\)|[A-Za-z][.)]|[IVXLC]+\.|[-*•·–]|#{1,6})"
_ITEM = re.compile(rf"[ \t]*{_MARK}[ \t]+\S|[ \t]*(?:section|article|clause)\s+\d", re.IGNORECASE)
_LEADING_MARK = re.compile(rf"(?:(?:section|article)\s+\d[\d.]*\s+|{_MARK}(?:\s+|(?=[A-Z])))+", re.IGNORECASE)
_CUT = re.compile(r";\s+(?:and\s+|or\s+)?|\s(?=\((?:[a-z]|[ivx]{1,4}|\d{1,2})\)\s)")
_KEYED = re.compile(r"[-\w.\"']+(?: [-\w.\"']+){0,2}\s*[:=](?:\s|$)")
_SYMBOLS = re.compile(r"[=(){}\[\]<>|;\t\\#/*_]|\S,\S|::|->|\w\.\w+\(")


LONGEST = 4_000
"""Nothing longer is taken for a sentence, whatever it looks like."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Characters `[start, end)` of a text, without the spaces and list marks around them.

    heading: a short line that stands alone and opens what follows.
    """

    start: int
    end: int
    text: str
    heading: bool = False


def sentences(text: str) -> list[Sentence]:
    """The sentences of a text in order; their offsets are exact."""
    found: list[Sentence] = []
    for start, end in _blocks(text):
        for first, last in _split(text, start, end):
            found += _pieces(text, first, last)
    return found


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Runs of lines that belong together: a line break ends one unless the sentence plainly goes on."""
    start = 0
    width = _width(text)
    for line_break in _BREAK.finditer(text):
        at = line_break.start()
        before = text[text.rfind("\n", 0, at) + 1 : at]
        after = text[at + 1 : _line_end(text, at + 1)]
        if _ends_block(before, after, width):
            yield start, at
            start = at + 1
    yield start, len(text)


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _width(text: str) -> int:
    """How wide the text is wrapped: the length nine lines in ten stay within."""
    lengths = sorted(len(line.rstrip()) for line in text.splitlines() if line.strip())
    return lengths[min(len(lengths) - 1, len(lengths) * 9 // 10)] if lengths else 0


def _ends_block(before: str, after: str, width: int) -> bool:
    shown, following = before.strip(), after.strip()
    if not shown or not following:
        return True
    if "|" in (shown[0], following[0]) or (_is_data(shown) and _is_data(following)):
        return True
    if _ITEM.match(after) and not _goes_on(shown, following):
        return True
    if following[0].islower() or shown[-1] in ",-–—&(":
        return False
    if shown[-1] not in ".!?:;" and _carries_on(shown, following):
        return False
    return len(before.rstrip()) < width * 0.7


def _carries_on(shown: str, following: str) -> bool:
    """Whether two lines are plainly one sentence: joined by a small word, or both long and in capitals."""
    if _HANGING.search(shown) or _JOINING.match(following):
        return True
    return len(shown) > _CAPITALS_CHARS and shown.isupper() and following.isupper()


def _goes_on(shown: str, following: str) -> bool:
    """Whether what looks like a list mark belongs to the line before, as in "Section\\n4.1"."""
    return bool(
        re.search(r"(?:\b(?:section|article|clause|no\.?|and|or|to|of)|,)$", shown, re.IGNORECASE)
    ) or bool(
        re.match(r"\(\d+\)\s+(?:\w+\s+)?(?:day|month|year|week|percent|hour)", following, re.IGNORECASE)
    )


def _is_data(line: str) -> bool:
    """Whether a line looks like code, a table row or a setting rather than prose."""
    return bool(_KEYED.match(line)) or len(_SYMBOLS.findall(line)) >= max(2, len(line) // 25)


def _split(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a block after full stops that end a sentence."""
    first = start
    for stop in _STOP.finditer(text, start, end):
        if stop.end() < end and not _ends_sentence(text, first, stop, end):
            continue
        yield first, stop.end()
        first = stop.end()
    if text[first:end].strip():
        yield first, end


def _ends_sentence(text: str, first: int, stop: re.Match[str], end: int) -> bool:
    rest = text[stop.end() : end].lstrip()
    if not rest:
        return True
    if stop.group()[0] != ".":
        return not rest[0].islower()
    word = re.search(r"[\w.]*$", text[max(first, stop.start() - 12) : stop.start()])
    last = word.group().lower() if word else ""
    at_start = not text[first : stop.start() - len(last)].strip(" \n\t(")
    if rest[0].islower() or last in ABBREVIATIONS or (len(last) == 1 and last.isalpha() and last != "i"):
        return False
    # "4.2. The fee ..." opens a sentence, "... as in clause 4.2. The fee ..." ends one
    return not (at_start and re.fullmatch(r"[\d.]+|[ivxlc]+|[a-z]", last))


def _pieces(text: str, start: int, end: int) -> Iterator[Sentence]:
    if end - start <= LONG:
        yield from _trimmed(text, start, end)
        return
    first = start
    for cut in _CUT.finditer(text, start, end):
        if cut.end() - first > LONG // 4:
            yield from _trimmed(text, first, cut.start() + 1)
            first = cut.end()
    while end - first > LONGEST:
        space = text.rfind(" ", first + 1, first + LONGEST)
        cut_at = space if space > first else first + LONGEST
        yield from _trimmed(text, first, cut_at)
        first = cut_at
    yield from _trimmed(text, first, end)


def _trimmed(text: str, start: int, end: int) -> Iterator[Sentence]:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    mark = _LEADING_MARK.match(text, start, end)
    if mark and mark.end() < end:
        start = mark.end()
    shown = text[start:end].rstrip()
    if any(char.isalnum() for char in shown):
        yield Sentence(start, start + len(shown), shown, _is_heading(shown))


def _is_heading(shown: str) -> bool:
    """A short line that no full stop ends, or that is written like a title: "Term and Termination." """
    words = shown.split()
    if len(shown) > 80 or len(words) > 10 or "\n" in shown or shown[-1] in "!?;,":
        return False
    return shown[-1] != "." or (len(words) <= 6 and all(word[0].isupper() for word in words if len(word) > 3))
