"""What a root prompt says, taken apart: the only thing the offline policy knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rlm_rs.core.model import Message
from rlm_rs.providers.fake_question import Question, understand

_FACTS = re.compile(r"^CORPUS: ([\d,]+) documents?, ([\d,]+) characters", re.MULTILINE)
_LEFT = re.compile(r"BUDGET LEFT: (-?\d+) turns, \d+ s, (-?\d+) sub-calls")
_USED_UP = re.compile(r"Your budget is used up\b")
_MANY = 20


@dataclass(frozen=True, slots=True)
class Taken:
    """An earlier step: what it was for, and what it printed or what error it ended with."""

    purpose: str
    output: str

    @property
    def failed(self) -> bool:
        """Whether it ended with an error."""
        return bool(re.search(r"^ERROR [A-Z]", self.output, re.MULTILINE))

    def count(self, word: str) -> int:
        """The number it printed after a word, 0 if it printed none."""
        found = re.findall(rf"^{word} (\d+)", self.output, re.MULTILINE)
        return int(found[-1]) if found else 0


@dataclass(frozen=True, slots=True)
class Task:
    """The question, the corpus, the form wanted, the steps taken, and what is left of the budget."""

    question: Question
    documents: int
    characters: int
    as_text: bool
    contexts: bool
    steps: tuple[Taken, ...]
    turns_left: int
    calls_left: int
    used_up: bool

    def last(self, *purposes: str) -> Taken | None:
        """The newest step with one of these purposes."""
        return next((step for step in reversed(self.steps) if step.purpose in purposes), None)

    def times(self, *purposes: str) -> int:
        """How many steps had one of these purposes."""
        return sum(step.purpose in purposes for step in self.steps)


def is_root(messages: Sequence[Message]) -> bool:
    """Whether these messages are a root prompt."""
    return (
        len(messages) > 1
        and messages[0].role == "system"
        and "FINAL(answer)" in messages[0].content
        and messages[1].content.startswith("QUESTION\n")
    )


def read_task(messages: Sequence[Message]) -> Task:
    """Take a root prompt apart."""
    system, first, last = messages[0].content, messages[1].content, messages[-1].content
    question = first.partition("QUESTION\n")[2].partition("\n\nCORPUS:")[0]
    facts = _FACTS.search(first, max(0, first.find("\n\nCORPUS:")))
    left = _LEFT.findall(last)
    return Task(
        question=understand(question),
        documents=_number(facts[1]) if facts else 1,
        characters=_number(facts[2]) if facts else 0,
        as_text="doc.cite" not in system,
        contexts="CONTEXTS" in system,
        steps=tuple(_steps(messages[2:])),
        turns_left=int(left[-1][0]) if left else _MANY,
        calls_left=int(left[-1][1]) if left else _MANY,
        used_up=bool(_USED_UP.search(last)),
    )


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _steps(messages: Sequence[Message]) -> list[Taken]:
    taken = []
    for said, told in zip(messages[::2], messages[1::2], strict=False):
        purpose = next((line for line in said.content.splitlines() if line.startswith("# ")), "")
        taken.append(Taken(purpose, told.content))
    return taken
