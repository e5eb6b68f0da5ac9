"""Made-up text in six scripts, and questions about paragraphs hidden in it.

Words are drawn by rank (Zipf), as in real text, and so are the letters of a word: the hundred commonest of
3,000 Chinese characters make up two fifths of the text, as they do in print. A hidden paragraph is told from
others by the company of its words only: each of them also stands in many other paragraphs. Its question has
some of them in another order and case and without diacritics, among common words that say nothing.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

VOCABULARY = 40_000
PARAGRAPH_WORDS = (40, 120)
RARE = range(300, 8_000)
"""Ranks of the words that tell a hidden paragraph: uncommon, not unique."""
TELLING, ASKED, COMMON = 8, 5, 4


@dataclass(frozen=True, slots=True)
class Script:
    """A way of writing: its letters, what stands between words, and how a sentence ends."""

    name: str
    letters: str
    lengths: tuple[int, int]
    space: str = " "
    stop: str = ". "
    accents: str = ""
    cased: bool = False


SCRIPTS = (
    Script("Latin", "abcdefghijklmnopqrstuvwxyz", (2, 10), accents="\u0301\u0308\u0327", cased=True),
    Script("Cyrillic", "абвгдежзиклмнопрстуфхцчшщыьэюя", (2, 11), accents="\u0308", cased=True),
    Script("Greek", "αβγδεζηθικλμνξοπρστυφχψω", (2, 10), accents="\u0301", cased=True),
    Script("Arabic", "ابتثجحخدذرزسشصضطظعغفقكلمنهوي", (2, 7), stop=". ", accents="\u064e\u0650\u064f"),
    Script("CJK", "".join(map(chr, range(0x4E00, 0x4E00 + 3_000))), (1, 3), space="", stop="。"),
    Script("Devanagari", "कखगघचछजटडतथदधनपफबभमयरलवशसह", (2, 6), stop="। ", accents="\u093f\u0940\u0947\u094b"),
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and where its paragraph stands once it was placed."""

    script: str
    text: str
    document: int
    start_char: int
    end_char: int


class Writer:
    """Writes one script, the same each time."""

    def __init__(self, script: Script, seed: int) -> None:
        self.script = script
        self._chance = random.Random(f"{script.name}/{seed}")
        self._words = self._vocabulary()
        self._weights = list(accumulate(1 / (rank + 2) for rank in range(len(self._words))))

    def _vocabulary(self) -> list[str]:
        words: dict[str, None] = {}
        letters = list(accumulate(1 / (rank + 10) for rank in range(len(self.script.letters))))
        while len(words) < VOCABULARY:
            length = self._chance.randint(*self.script.lengths)
            word = "".join(self._chance.choices(self.script.letters, cum_weights=letters, k=length))
            if self.script.accents and self._chance.random() < 0.3:
                word += self._chance.choice(self.script.accents)
            words[unicodedata.normalize("NFC", word)] = None
        return list(words)

    def paragraph(self, telling: Sequence[str] = ()) -> str:
        """Some sentences; the telling words stand here and there in them."""
        words = self._chance.choices(
            self._words, cum_weights=self._weights, k=self._chance.randint(*PARAGRAPH_WORDS)
        )
        for word in telling:
            words.insert(self._chance.randrange(len(words)), word)
        sentences = []
        while words:
            length = self._chance.randint(6, 18)
            sentences.append(self.script.space.join(words[:length]).capitalize() + self.script.stop)
            words = words[length:]
        return "".join(sentences) + "\n\n"

    def hidden(self) -> tuple[str, str]:
        """A paragraph and its question."""
        telling = [self._words[rank] for rank in self._chance.sample(RARE, TELLING)]
        asked = self._chance.sample(telling, ASKED) + self._words[:COMMON]
        self._chance.shuffle(asked)
        if self.script.cased:
            asked = [_plain(word) if self._chance.random() < 0.5 else word.upper() for word in asked]
        return self.paragraph(telling), " ".join(asked)

    def document(self, chars: int) -> Iterator[str]:
        """Paragraphs of about so many characters."""
        while chars > 0:
            paragraph = self.paragraph()
            chars -= len(paragraph)
            yield paragraph


def _plain(word: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))
