"""The steps of the offline policy: ordinary code of the step language, put together from its parts.

The parts are the text files beside this module. What differs from question to question stands in
constants at the top of each step.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from rlm_rs.providers.fake_kinds import pattern_of
from rlm_rs.providers.fake_question import Idea
from rlm_rs.providers.fake_task import Task

LARGE_CHARS = 200_000_000
"""Above this a pass with a pattern takes seconds, so that most passes are for plain words."""

SLOW_PASSES = 2
MOST_CALLS = 20
PASSAGES_A_TIME = 120
LISTED, SINGLE, GATHERED = 0.7, 0.8, 0.6

SEARCH = (
    "# Search every document for the ideas of the question, and rank the places where they come together."
)
OPENINGS = "# Read how the documents begin."
JUDGE = "# Read the best passages and let the sub-model quote what answers the question."
FURTHER = "# Read on down the ranking, and keep the quotes found so far."
WITHOUT_SUB = "# The sub-model did not answer: judge the passages by the words they hold."
PLAINLY = "# Search again with the weightiest idea only, since the first search failed."
ANSWER = "# Answer with the quotes, each with a mark on its exact place."
COLLECT = "# Tag the passages that hold the quotes."
SAY_SO = "# Say what was searched for and not found."

_SHOWN_KINDS = frozenset({"duration", "date", "money", "percent"})


class _Pattern(str):
    """Text shown as a raw string."""


def search_step(task: Task, *, plainly: bool = False) -> str:
    """Find and rank the passages to read."""
    ideas = searched(task)
    if plainly:
        ideas = sorted(ideas, key=lambda idea: -idea.weight)[:1]
    constants: dict[str, object] = {"IDEAS": ideas, "LARGE": _is_large(task)}
    return _step(PLAINLY if plainly else SEARCH, task, constants, _places(task), "search")


def opening_step(task: Task) -> str:
    """Take the beginnings of the documents for the passages."""
    return _step(OPENINGS, task, {"IDEAS": searched(task)}, "openings")


def judge_step(task: Task, *, further: bool = False) -> str:
    """Read passages and ask the sub-model about them, all at once."""
    return _step(FURTHER if further else JUDGE, task, _asking(task, rounds(task) if further else 0), "judge")


def alone_step(task: Task) -> str:
    """Judge the passages without a sub-model."""
    return _step(WITHOUT_SUB, task, {"IDEAS": list(task.question.ideas)}, "alone")


def finish_step(task: Task) -> str:
    """Answer, or tag the passages where passages are wanted."""
    purpose, parts = _finish(task)
    return _step(purpose, task, _finishing(task), *parts)


def everything_step(task: Task, nothing: str) -> str:
    """Search, judge and answer in one step; `nothing` is the answer if there is none."""
    look = (_places(task), "search") if searched(task) and not task.question.overview else ("openings",)
    constants = {"LARGE": _is_large(task), **_to_the_end(task, nothing)}
    return _step(SEARCH, task, constants, *look, *_judge_and_finish(task))


def last_step(task: Task, nothing: str) -> str:
    """Judge the passages found and answer in one step; `nothing` is the answer if there is none."""
    return _step(JUDGE, task, _to_the_end(task, nothing), *_judge_and_finish(task))


def _to_the_end(task: Task, nothing: str) -> dict[str, object]:
    return {"IDEAS": searched(task), **_asking(task, 0), **_finishing(task), "NOTHING": nothing}


def _judge_and_finish(task: Task) -> tuple[str, ...]:
    return ("judge" if task.calls_left > 0 else "alone", "or_nothing", *_finish(task)[1])


def final_step(answer: str) -> str:
    """End with an answer that is known already."""
    return f"{SAY_SO}\nFINAL({answer!r})"


def searched(task: Task) -> list[Idea]:
    """The ideas worth a pass over the whole text: not the generic ones, and few where the text is large."""
    ideas = [idea for idea in task.question.ideas if not idea.generic] or list(task.question.ideas)
    if not _is_large(task):
        return ideas
    slow = sorted((idea for idea in ideas if not idea.literal), key=lambda idea: -idea.weight)
    return [idea for idea in ideas if idea.literal or idea in slow[:SLOW_PASSES]]


def rounds(task: Task) -> int:
    """How many times passages were judged."""
    return task.times(JUDGE, FURTHER)


def _is_large(task: Task) -> bool:
    return task.characters > LARGE_CHARS and not task.as_text


def _places(task: Task) -> str:
    return "places_text" if task.as_text else "places_documents"


def _finish(task: Task) -> tuple[str, tuple[str, ...]]:
    if task.contexts:
        return COLLECT, ("choose", "contexts")
    return ANSWER, ("choose", "answer_text" if task.as_text else "answer_marks", "answer")


def _asking(task: Task, rounds_before: int) -> dict[str, object]:
    calls = max(1, min(MOST_CALLS, task.calls_left))
    return {"QUESTION": task.question.text, "CALLS": calls, "SKIP": PASSAGES_A_TIME * rounds_before}


def _finishing(task: Task) -> dict[str, object]:
    listing = task.question.listing
    kinds = [pattern_of(kind) for kind in task.question.kinds if kind in _SHOWN_KINDS]
    return {
        "KEEP": GATHERED if task.contexts else LISTED if listing else SINGLE,
        "LISTING": listing,
        "VALUE": _Pattern("|".join(kinds)),
        "READ": PASSAGES_A_TIME * max(1, rounds(task)),
    }


def _step(purpose: str, task: Task, constants: dict[str, object], *parts: str) -> str:
    lines = [purpose, "import collections, itertools, math, re"]
    lines += [f"{name} = {_literal(value)}" for name, value in constants.items()]
    if task.as_text:
        lines.append("docs = [context]" if task.documents == 1 else "docs = list(context)")
        lines.append('NAMES = [f"text {i + 1}" for i in range(len(docs))]')
    else:
        lines += ["docs = context", "NAMES = [doc.name for doc in docs]"]
    lines.append(_part("reading"))
    return "\n".join([*lines, "", "\n\n".join(map(_part, parts))])


@cache
def _part(name: str) -> str:
    """A piece of step code."""
    return (resources.files(__package__) / f"fake_step_{name}.txt").read_text(encoding="utf-8").rstrip()


def _literal(value: object) -> str:
    if isinstance(value, _Pattern):
        return _raw(value)
    if isinstance(value, list):
        return "[\n" + "".join(f"    {_described(idea)},\n" for idea in value) + "]"
    return repr(value)


def _described(idea: Idea) -> str:
    """An idea as the step code has it. named: whether a document's name may say it."""
    facts = f'"name": {idea.name!r}, "weight": {idea.weight:.2f}, "named": {idea.nameable}'
    pattern = _raw("|".join(dict.fromkeys(idea.scan)))
    return f'{{{facts}, "literal": {idea.literal!r}, "pattern": {pattern}}}'


def _raw(pattern: str) -> str:
    """A pattern as a raw string, as people write it, where its quotes allow that."""
    quote = next((quote for quote in ('"', "'") if quote not in pattern), "")
    return f"r{quote}{pattern}{quote}" if quote and not pattern.endswith("\\") else repr(pattern)
