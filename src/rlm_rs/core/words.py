"""Words as a search sees them: Unicode words without case and diacritics, pairs of characters elsewhere.

A word is a run of letters, marks and digits (the `\\w` of UTS #18, the underscore apart). Case is folded, and
so are the diacritics of Latin, Greek, Cyrillic, Hebrew and Arabic, the compatibility forms of NFKC and the
digits of all scripts. Vowel signs of Indic scripts are no diacritics and stay. Scripts that put no spaces
between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) and Korean, whose particles cling to its words,
become overlapping pairs of characters, the last character alone once more.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from typing import NamedTuple

MAX_WORD_CHARS = 80
"""Longer runs (encoded data, mostly) are not searchable."""

RULES_VERSION = "1"
"""Changes when the same text gives other words: an index of before is then no longer asked."""

_ASCII = {code: (chr(code).lower() if chr(code).isalnum() else " ") for code in range(128)}

_DIACRITICS = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
    # what joins and separates without being seen
    "\u00ad\u034f\u200b-\u200f\u2060\ufeff]+"
)

_UNDECOMPOSED = {
    "đ": "d", "ð": "d", "ø": "o", "ł": "l", "ħ": "h", "ı": "i", "ŧ": "t", "æ": "ae", "œ": "oe", "þ": "th",
}  # fmt: skip
"""Letters with a stroke or of two letters that Unicode does not take apart."""

_PAIRED = re.compile(
    "["
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
    "\uac00-\ud7af"  # Korean
    "]+"
)


class _Tables(NamedTuple):
    """What has to be made from the Unicode database, once: 15 ms that an import should not take."""

    separators: re.Pattern[str]
    letters: re.Pattern[str]
    letter_of: dict[str, str]


@cache
def _tables() -> _Tables:
    marks: list[int] = []
    letter_of = dict(_UNDECOMPOSED)
    # those of plane 0 alone: a class that goes beyond is searched four times as slowly
    for code in range(128, 1 << 16):
        category = unicodedata.category(chr(code))
        if category[0] == "M":
            marks.append(code)
        elif category == "Nd":
            letter_of[chr(code)] = str(unicodedata.decimal(chr(code)))
    return _Tables(
        re.compile(f"[^\\w{_class_of(marks)}]+"),
        re.compile(f"[{_class_of(map(ord, letter_of))}]"),
        letter_of,
    )


def _class_of(codes: Iterable[int]) -> str:
    """The codes as the inside of a character class, neighbours joined."""
    ranges: list[tuple[int, int]] = []
    for code in sorted(codes):
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], code)
        else:
            ranges.append((code, code))
    return "".join(f"{chr(first)}-{chr(last)}" if last > first else chr(first) for first, last in ranges)


class Fields(NamedTuple):
    """The words of a text as an index is given them, with spaces between: words in order, and pairs apart.

    Pairs need no order: a passage that holds all pairs of a phrase hardly ever holds them elsewhere.
    """

    words: str
    pairs: str


def fields_of(text: str) -> Fields:
    """What of a text is indexed."""
    if text.isascii():
        return Fields(text.translate(_ASCII), "")
    folded = _folded(text)
    pairs = " ".join(map(_pairs_and_last, _PAIRED.finditer(folded)))
    return Fields(_PAIRED.sub(" ", folded) if pairs else folded, pairs)


def words_of(text: str) -> list[str]:
    """The words of a text, in order."""
    return _spaced(text, _pairs_and_last).split()


def asked_words(text: str) -> list[str]:
    """The words of a piece of a query: as `words_of`, but no last character alone after its pairs."""
    return [word for word in _spaced(text, _pairs).split() if len(word) <= MAX_WORD_CHARS]


def words_in_a_row(text: str) -> list[str]:
    """The words of a piece of a query as a text that contains the piece has them, one after the other.

    The last character alone is left out: in the text the last pair may go on.
    """
    words = words_of(text)
    cut = (
        len(words) > 1 and is_lone(words[-1]) and _PAIRED.fullmatch(words[-2]) and words[-2][-1] == words[-1]
    )
    return [word for word in (words[:-1] if cut else words) if len(word) <= MAX_WORD_CHARS]


def is_paired(word: str) -> bool:
    """Whether a word of `words_of` is of a script that is indexed in pairs."""
    return _PAIRED.match(word) is not None


def is_lone(word: str) -> bool:
    """Whether a word is one character of a script that is indexed in pairs: it stands for those it begins."""
    return len(word) == 1 and _PAIRED.fullmatch(word) is not None


def _spaced(text: str, paired: Callable[[re.Match[str]], str]) -> str:
    return text.translate(_ASCII) if text.isascii() else _PAIRED.sub(paired, _folded(text))


def _folded(text: str) -> str:
    """Runs of letters and digits, folded, with spaces between."""
    tables = _tables()
    folded = _DIACRITICS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    folded = tables.letters.sub(lambda match: tables.letter_of[match.group()], folded)
    return tables.separators.sub(" ", unicodedata.normalize("NFC", folded).replace("_", " "))


def _pairs(match: re.Match[str]) -> str:
    run = match.group()
    return f" {run} " if len(run) == 1 else f" {' '.join(map(str.__add__, run, run[1:]))} "


def _pairs_and_last(match: re.Match[str]) -> str:
    run = match.group()
    return f" {run} " if len(run) == 1 else f" {' '.join(map(str.__add__, run, run[1:]))} {run[-1]} "
