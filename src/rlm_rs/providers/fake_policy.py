"""The offline root model: from what a root model is shown to the next step, in plain step code.

It searches every document for the question's ideas, reads the best passages, lets the sub-model quote what
answers, and answers with those quotes. What it knows is the prompt: question, corpus facts, earlier steps.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from rlm_rs.core.model import Message
from rlm_rs.providers.fake_question import Idea, Question, understand

LARGE_CHARS = 200_000_000
"""Above this, only what is likely to be rare is searched for: a pass over the text takes seconds."""

MOST_CALLS = 20
LISTED, ALONE = 0.7, 0.8
GATHERED = 0.6
PASSAGES_A_TIME = 120

SEARCH = (
    "# Search every document for the ideas of the question, and rank the places where they come together."
)
OPENINGS = "# Read how the documents begin."
JUDGE = "# Read the best passages and let the sub-model quote what answers the question."
FURTHER = "# Read the next passages in the ranking, since the first ones gave nothing."
WITHOUT_SUB = "# The sub-model did not answer: judge the passages by the words they hold."
PLAINLY = "# Search again with the weightiest idea only, since the first search failed."
ANSWER = "# Answer with the quotes, each with a mark on its exact place."
COLLECT = "# Tag the passages that hold the quotes."
SAY_SO = "# Say what was searched for and not found."

_FACTS = re.compile(r"^CORPUS: ([\d,]+) documents?, ([\d,]+) characters", re.MULTILINE)
_LEFT = re.compile(r"BUDGET LEFT: (-?\d+) turns, \d+ s, (-?\d+) sub-calls")
_USED_UP = re.compile(r"Your budget is used up\b")
_IMPORTS = "import collections, itertools, math, re"


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
    """What a root prompt says: the question, the corpus, the form wanted, the steps taken, what is left."""

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


def read_task(messages: Sequence[Message]) -> Task:
    """Take a root prompt apart."""
    system, first, last = messages[0].content, messages[1].content, messages[-1].content
    question = first.partition("QUESTION\n")[2].partition("\n\nCORPUS:")[0]
    facts = _FACTS.search(first, first.find("\n\nCORPUS:"))
    left = _LEFT.findall(last)
    return Task(
        question=understand(question),
        documents=_number(facts[1]) if facts else 1,
        characters=_number(facts[2]) if facts else 0,
        as_text="doc.cite" not in system,
        contexts="CONTEXTS" in system,
        steps=tuple(_steps(messages[2:])),
        turns_left=int(left[-1][0]) if left else 10,
        calls_left=int(left[-1][1]) if left else MOST_CALLS,
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


def is_root(messages: Sequence[Message]) -> bool:
    """Whether these messages are a root prompt."""
    return (
        len(messages) > 1
        and messages[0].role == "system"
        and "FINAL(answer)" in messages[0].content
        and messages[1].content.startswith("QUESTION\n")
    )


def next_reply(task: Task) -> str:
    """The root model's reply: a step, or plain text when the budget is used up."""
    if task.used_up:
        return best_answer(task)
    if task.turns_left <= 1 and task.last(ANSWER, COLLECT, SAY_SO) is None:
        return _said("This is the last turn, so I do everything in one step.", all_at_once(task))
    failures = sum(step.failed for step in task.steps)
    if failures >= 3:
        return _said("Steps keep failing, so I stop here.", give_up(task))
    return _next_step(task)


def _next_step(task: Task) -> str:
    last = task.steps[-1] if task.steps else None
    if last is None:
        return _begin(task)
    if last.purpose in (SEARCH, PLAINLY, OPENINGS):
        return _after_search(task, last)
    if last.purpose in (JUDGE, FURTHER, WITHOUT_SUB):
        return _after_judging(task, last)
    return _said("That did not work, so I answer with what there is.", give_up(task))


def _begin(task: Task) -> str:
    if task.question.overview or not searched(task):
        return _said("I look at how the documents begin.", opening_step(task))
    names = ", ".join(idea.name for idea in task.question.ideas)
    return _said(f"I search all documents for: {names}.", search_step(task))


def _after_search(task: Task, last: Taken) -> str:
    if last.failed and last.purpose != PLAINLY:
        return _said("The search failed; a simpler one may do.", search_step(task, plainly=True))
    if last.failed or not last.count("PASSAGES"):
        return _said("Nothing in the documents speaks of this.", nothing_found(task))
    if task.calls_left <= 0:
        return _said("There are no sub-calls left.", alone_step(task))
    return _said("I read the best passages and have them judged.", judge_step(task))


def _after_judging(task: Task, last: Taken) -> str:
    if last.purpose != WITHOUT_SUB and (last.failed or (last.count("FAILED") and not last.count("QUOTES"))):
        return _said("The sub-model was of no help, so I go by the words.", alone_step(task))
    if last.count("QUOTES"):
        return _said("These quotes answer the question.", finish_step(task))
    search = task.last(SEARCH, PLAINLY)
    if (
        last.purpose == JUDGE
        and search
        and search.count("PASSAGES") > PASSAGES_A_TIME
        and task.calls_left > 0
    ):
        return _said("Not yet; I read on down the ranking.", judge_step(task, further=True))
    return _said("The passages do not answer the question.", nothing_found(task))


def _said(why: str, code: str) -> str:
    return f"{why}\n\n```repl\n{code}\n```"


@cache
def _part(name: str) -> str:
    """A piece of step code."""
    return (resources.files(__package__) / f"fake_step_{name}.txt").read_text(encoding="utf-8").rstrip()


def _step(purpose: str, task: Task, constants: dict[str, object], *parts: str) -> str:
    set_up = [f"{name} = {_literal(value)}" for name, value in constants.items()]
    if task.as_text:
        set_up.append("TEXTS = [context]" if task.documents == 1 else "TEXTS = list(context)")
    adapter = _part("text" if task.as_text else "documents")
    return "\n".join([purpose, _IMPORTS, *set_up, adapter, "", "\n\n".join(map(_part, parts))])


def _literal(value: object) -> str:
    if isinstance(value, list):
        return "[\n" + "".join(f"    {_described(idea)},\n" for idea in value) + "]"
    return repr(value)


def _described(idea: Idea) -> str:
    """An idea as the step code has it: its name, weight and pattern, and whether it is a name."""
    found = "|".join(dict.fromkeys(idea.scan))
    quote = '"' if '"' not in found else "'" if "'" not in found else ""
    shown = f"r{quote}{found}{quote}" if quote else repr(found)
    return (
        f'{{"name": {idea.name!r}, "weight": {idea.weight:.2f}, "named": {idea.anchor}, "pattern": {shown}}}'
    )


def searched(task: Task) -> list[Idea]:
    """The ideas worth a pass over the whole text: not the generic ones, and few where the text is large."""
    ideas = [idea for idea in task.question.ideas if not idea.generic] or list(task.question.ideas)
    if task.characters > LARGE_CHARS:
        ideas = sorted(ideas, key=lambda idea: (not idea.anchor, -idea.weight))[:4]
    return ideas


def search_step(task: Task, *, plainly: bool = False) -> str:
    """Find and rank the passages to read."""
    ideas = searched(task)
    if plainly:
        ideas = sorted(ideas, key=lambda idea: -idea.weight)[:1]
    constants: dict[str, object] = {"IDEAS": ideas}
    return _step(PLAINLY if plainly else SEARCH, task, constants, "search")


def opening_step(task: Task) -> str:
    """Take the beginnings of the documents for the passages."""
    return _step(OPENINGS, task, {}, "openings")


def judge_step(task: Task, *, further: bool = False) -> str:
    """Read passages and ask the sub-model about them, all at once."""
    return _step(FURTHER if further else JUDGE, task, _asking(task, further), "judge")


def _asking(task: Task, further: bool = False) -> dict[str, object]:
    calls = max(1, min(MOST_CALLS, task.calls_left))
    return {"QUESTION": task.question.text, "CALLS": calls, "SKIP": PASSAGES_A_TIME if further else 0}


def alone_step(task: Task) -> str:
    """Judge the passages without a sub-model."""
    constants: dict[str, object] = {"IDEAS": list(task.question.ideas)}
    return _step(WITHOUT_SUB, task, constants, "alone")


def finish_step(task: Task) -> str:
    """Answer, or tag the passages where passages are wanted."""
    purpose, parts = _finish(task)
    return _step(purpose, task, _finishing(task), *parts)


def _finish(task: Task) -> tuple[str, tuple[str, ...]]:
    if task.contexts:
        return COLLECT, ("choose", "contexts")
    return ANSWER, ("choose", "answer_text" if task.as_text else "answer_marks", "answer")


def _finishing(task: Task) -> dict[str, object]:
    keep = GATHERED if task.contexts else LISTED if task.question.listing else ALONE
    return {"KEEP": keep, "LISTING": task.question.listing}


def all_at_once(task: Task) -> str:
    """Search, judge and answer in one step."""
    _, finish = _finish(task)
    overview = task.question.overview or not searched(task)
    constants = {"IDEAS": searched(task), **_asking(task), **_finishing(task), "NOTHING": not_found(task)}
    judging = "judge" if task.calls_left > 0 else "alone"
    return _step(
        SEARCH, task, constants, "openings" if overview else "search", judging, "or_nothing", *finish
    )


def not_found(task: Task) -> str:
    """What to answer when the documents do not."""
    names = ", ".join(idea.name for idea in task.question.ideas)
    looked = f" I looked for: {names}." if names else ""
    count = f"all {task.documents:,} documents" if task.documents > 1 else "the document"
    return f"The documents do not say. I searched {count} and found no passage that answers this.{looked}"


def nothing_found(task: Task) -> str:
    """Say that the documents do not answer."""
    return f"{SAY_SO}\nFINAL({'done' if task.contexts else not_found(task)!r})"


def give_up(task: Task) -> str:
    """End with what was seen, in words."""
    return f"{SAY_SO}\nFINAL({'done' if task.contexts else best_answer(task)!r})"


def best_answer(task: Task) -> str:
    """Plain text from what the steps printed: the quotes if there were any, else where to look."""
    judged = task.last(JUDGE, FURTHER, WITHOUT_SUB)
    quotes = re.findall(r'^ *\d+  (\S.*?: ".*")$', judged.output, re.MULTILINE) if judged else []
    if quotes:
        return "\n".join(
            ["The work was cut short; these passages were found so far:", *(f"- {q}" for q in quotes[:10])]
        )
    search = task.last(SEARCH, PLAINLY)
    places = re.findall(r"^ *\d+\.\d  (\S.*)$", search.output, re.MULTILINE) if search else []
    if places:
        lines = [f"- {place}" for place in places[:10]]
        return "\n".join(["I could not finish reading. The most promising places are:", *lines])
    names = ", ".join(idea.name for idea in task.question.ideas) or "the question"
    return f"I could not finish, and found nothing certain about {json.dumps(names, ensure_ascii=False)}."
