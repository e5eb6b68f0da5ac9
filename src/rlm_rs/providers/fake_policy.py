"""The offline root model: from what a root model is shown to the next step.

It searches every document for the question's ideas, reads the best passages, lets the sub-model quote what
answers, and answers with those quotes.
"""

from __future__ import annotations

import json
import re

from rlm_rs.providers.fake_steps import (
    ANSWER,
    COLLECT,
    FURTHER,
    JUDGE,
    OPENINGS,
    PASSAGES_A_TIME,
    PLAINLY,
    SAY_SO,
    SEARCH,
    WITHOUT_SUB,
    alone_step,
    everything_step,
    final_step,
    finish_step,
    judge_step,
    last_step,
    opening_step,
    rounds,
    search_step,
    searched,
)
from rlm_rs.providers.fake_task import Taken, Task

MOST_ROUNDS = 4
CALLS_A_ROUND = 12
MOST_FAILURES = 3
_SHOWN = 10


def next_reply(task: Task) -> str:
    """The root model's reply: a step, or plain text when the budget is used up."""
    if task.used_up:
        return best_answer(task)
    if sum(step.failed for step in task.steps) >= MOST_FAILURES:
        return _said("Steps keep failing, so I stop here.", final_step(_or_done(task, best_answer(task))))
    if not task.steps:
        return _begin(task)
    return _go_on(task, task.steps[-1])


def _begin(task: Task) -> str:
    if task.turns_left <= 1:
        nothing = _or_done(task, not_found(task))
        return _said("There is one turn, so I do everything in it.", everything_step(task, nothing))
    if task.question.overview or not searched(task):
        return _said("I look at how the documents begin.", opening_step(task))
    names = ", ".join(idea.name for idea in searched(task))
    return _said(f"I search all documents for: {names}.", search_step(task))


def _go_on(task: Task, last: Taken) -> str:
    if last.purpose in (SEARCH, PLAINLY, OPENINGS):
        return _after_search(task, last)
    if last.purpose in (JUDGE, FURTHER, WITHOUT_SUB):
        return _after_judging(task, last)
    if last.purpose in (ANSWER, COLLECT, SAY_SO) and last.failed:
        return _said("That failed, so I say it in words.", final_step(_or_done(task, best_answer(task))))
    return _begin(task)


def _after_search(task: Task, last: Taken) -> str:
    if last.failed and last.purpose != PLAINLY and searched(task):
        return _said("The search failed; a simpler one may do.", search_step(task, plainly=True))
    if last.failed:
        return _said("Searching does not work here.", final_step(_or_done(task, best_answer(task))))
    if not last.count("PASSAGES"):
        return _said("Nothing in the documents speaks of this.", _nothing(task))
    if task.turns_left <= 1:
        return _said("This is the last turn.", last_step(task, _or_done(task, not_found(task))))
    if task.calls_left <= 0:
        return _said("There are no sub-calls left.", alone_step(task))
    return _said("I read the best passages and have them judged.", judge_step(task))


def _after_judging(task: Task, last: Taken) -> str:
    unhelped = last.failed or (last.count("FAILED") and not last.count("QUOTES"))
    if unhelped and last.purpose != WITHOUT_SUB:
        return _said("The sub-model was of no help, so I go by the words.", alone_step(task))
    if last.failed:
        return _said("Reading does not work here.", final_step(_or_done(task, best_answer(task))))
    if last.purpose != WITHOUT_SUB and _worth_reading_on(task, last):
        return _said("There may be more further down the ranking.", judge_step(task, further=True))
    if last.count("QUOTES"):
        return _said("These quotes answer the question.", finish_step(task))
    return _said("The passages do not answer the question.", _nothing(task))


def _worth_reading_on(task: Task, last: Taken) -> bool:
    """Whether the next passages may add something: to a list while it grows, to nothing once."""
    search = task.last(SEARCH, PLAINLY)
    if search is None or search.count("PASSAGES") <= PASSAGES_A_TIME * rounds(task):
        return False
    listing = task.question.listing
    wanted = last.count("NEW") if listing else not last.count("QUOTES")
    most = MOST_ROUNDS if listing else 2
    return bool(wanted) and rounds(task) < most and task.calls_left >= CALLS_A_ROUND and task.turns_left > 2


def _said(why: str, code: str) -> str:
    return f"{why}\n\n```repl\n{code}\n```"


def _nothing(task: Task) -> str:
    return final_step(_or_done(task, not_found(task)))


def _or_done(task: Task, answer: str) -> str:
    return "done" if task.contexts else answer


def not_found(task: Task) -> str:
    """What to answer when the documents do not."""
    names = _ideas_of(task)
    looked = f" I looked for: {names}." if names else ""
    count = f"all {task.documents:,} documents" if task.documents > 1 else "the document"
    if _saw_only_part(task):
        part = f"I searched {count} and read the {PASSAGES_A_TIME * rounds(task):,} likeliest places, not all"
        return f"I found no answer. {part}; none of them answers this.{looked}"
    return f"The documents do not say. I searched {count} and found no passage that answers this.{looked}"


def _saw_only_part(task: Task) -> bool:
    """Whether there were more places than could be read, or words too common to follow to the end."""
    search = task.last(SEARCH, PLAINLY)
    if search is None or not rounds(task):
        return False
    return search.count("PASSAGES") > PASSAGES_A_TIME * rounds(task) or "+ in " in search.output


def best_answer(task: Task) -> str:
    """Plain text from what the steps printed: the quotes if there were any, else where to look."""
    judged = task.last(JUDGE, FURTHER, WITHOUT_SUB, SEARCH)
    quotes = re.findall(r'^ *\d+  (\S.*?: ".*")$', judged.output, re.MULTILINE) if judged else []
    if quotes:
        lines = [f"- {quote}" for quote in quotes[:_SHOWN]]
        return "\n".join(["The work was cut short; these passages were found so far:", *lines])
    search = task.last(SEARCH, PLAINLY)
    places = re.findall(r"^ *\d+\.\d  (\S.*)$", search.output, re.MULTILINE) if search else []
    if places:
        lines = [f"- {place}" for place in places[:_SHOWN]]
        return "\n".join(["I could not finish reading. The most promising places are:", *lines])
    subject = json.dumps(_ideas_of(task) or task.question.text[:200], ensure_ascii=False)
    return f"I could not finish the search, so I cannot say what the documents hold about {subject}."


def _ideas_of(task: Task) -> str:
    return ", ".join(idea.name for idea in task.question.ideas)
