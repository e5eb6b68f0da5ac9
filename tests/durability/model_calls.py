"""The model's side: a script of four turns for each execution; and what was asked, and what is kept."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from rlm_rs.core.execution import Event, RootReplied, SubcallResolved
from rlm_rs.testing.openai_script import Prompt, ServedReply

Call: TypeAlias = tuple[str, int, int]
"""("root", execution, turn) or ("sub", execution, number)."""

STEPS = (
    "a = context[{doc}][4:17]\nr = llm_query_batched(['Sub {n}.0: ' + a, 'Sub {n}.1: ' + a])",
    "print(context[{doc}].find('days'), r)",
    "s = llm_query('Sub {n}.2: ' + context[{next}][4:17])",
    "FINAL(a + r[0] + s)",
)
TURNS, SUBCALLS = len(STEPS), 3
DOCUMENTS = 5


def number_of(question: str) -> int:
    found = re.search(r"Number (\d+)\?", question)
    assert found, question
    return int(found[1])


def call_of(model: str, text: str, turn: int) -> Call:
    """Which call a prompt is."""
    if model == "sub":
        found = re.search(r"Sub (\d+)\.(\d+):", text)
        assert found, text
        return "sub", int(found[1]), int(found[2])
    return "root", number_of(text), turn


def reply_to(call: Call) -> str:
    kind, n, place = call
    if kind == "sub":
        return f" {n}.{place}"
    code = STEPS[place].format(n=n, doc=n % DOCUMENTS, next=(n + 1) % DOCUMENTS)
    return f"```repl\n{code}\n```"


@dataclass
class Book:
    """Every call the server was asked, in order; unrecorded: for each kill, those that were then not kept."""

    asked: list[Call] = field(default_factory=list)
    unrecorded: list[set[Call]] = field(default_factory=list)
    after: list[tuple[int, set[Call]]] = field(default_factory=list)

    def __call__(self, prompt: Prompt) -> ServedReply:
        """The script of the server."""
        call = call_of(prompt.model, prompt.text, prompt.turn)
        self.asked.append(call)
        # of different lengths, so that a kill finds executions at different places
        return ServedReply(reply_to(call), latency=0.15 + 0.01 * (call[1] % 10))

    def killed(self, recorded: set[Call]) -> None:
        """Note what was kept of all that had been asked when a process was killed."""
        self.unrecorded.append(set(self.asked) - recorded)
        self.after.append((len(self.asked), recorded))

    @property
    def repeated(self) -> Counter[Call]:
        """Calls that were made more than once, and how often again."""
        return Counter({call: times - 1 for call, times in Counter(self.asked).items() if times > 1})

    def check(self, most_in_flight: int) -> None:
        """No recorded call was made again; of those that were not, none more often than it was lost."""
        for place, recorded in self.after:
            assert recorded & set(self.asked[place:]) == set()
        lost = Counter(call for calls in self.unrecorded for call in calls)
        assert self.repeated <= lost
        assert all(len(calls) <= most_in_flight for calls in self.unrecorded)


def in_journals(journals: Iterable[tuple[int, Sequence[tuple[int, Event]]]]) -> Iterator[Call]:
    """The calls that the journals of numbered executions hold."""
    for n, events in journals:
        for _, event in events:
            if isinstance(event, RootReplied):
                yield "root", n, event.turn
            elif isinstance(event, SubcallResolved):
                yield call_of("sub", event.request.prompt, 0)


def in_cache(blobs: Path) -> Iterator[Call]:
    """The calls that the call cache holds: paid, whether or not the journal knows yet."""
    for path in blobs.glob("*/cache/*/llm/*.json"):
        request = json.loads(path.read_bytes())["request"]
        messages = request["messages"]
        text = "\n".join(message["content"] for message in messages)
        yield call_of(request["model"], text, sum(m["role"] == "assistant" for m in messages))
