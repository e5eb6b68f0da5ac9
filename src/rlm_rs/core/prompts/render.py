"""The root prompt: what the root model is told at each turn.

The order is fixed so that a provider's prompt cache hits: the static template, then the question and the
corpus facts, then the turns so far as a conversation, and last the budget snapshot, which changes.
Document text is never put here; only what a step printed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from rlm_rs.core.budget import CHARS_PER_TOKEN, Budgets, Exhausted, Spend
from rlm_rs.core.corpus import Corpus, Document
from rlm_rs.core.execution import Execution, Run, Turn
from rlm_rs.core.model import Message
from rlm_rs.sandbox.protocol import StepResult, ToolDescription, View

NAMED_DOCUMENTS = 100
CONVERSATION_SHARE = 0.5
DEFAULT_WINDOW_TOKENS = 128_000
STATE_KEYS_SHOWN = 50
SAID_CHARS = 30_000
MIN_ROOM_CHARS = 2_000
NOTICE_CHARS = 4_000
NAME_CHARS = 300
CODE_SEEN_CHARS = 200
TOOLS_HEAD = (
    "TOOLS\nBesides, your code can call these functions. Arguments and results are JSON values; a call that "
    "fails raises RuntimeError, saying why."
)


@dataclass(frozen=True, slots=True)
class RootPrompt:
    """The messages of one root call and the version of the template they come from."""

    messages: tuple[Message, ...]
    version: str

    @property
    def digest(self) -> str:
        """SHA-256 over the messages, in hex: a prompt rendered again later is compared with it."""
        return prompt_digest(self.messages)


def prompt_digest(messages: Sequence[Message]) -> str:
    """SHA-256 over roles and contents, in hex."""
    said = json.dumps([[message.role, message.content] for message in messages], separators=(",", ":"))
    return hashlib.sha256(said.encode()).hexdigest()


@cache
def template(name: str) -> str:
    """A template by file name, without its suffix."""
    return (resources.files(__package__) / f"{name}.txt").read_text(encoding="utf-8")


def system_text(execution: Execution) -> str:
    """The static part of the root prompt for this kind of execution."""
    text = template(execution.context_shape)
    if execution.search_enabled:
        text += template("search")
    return text + template("contexts") if execution.output_mode == "CONTEXTS" else text


def root_prompt_version(execution: Execution) -> str:
    """SHA-256 of the template's text, in hex."""
    return hashlib.sha256(system_text(execution).encode()).hexdigest()


def root_prompt(
    run: Run, corpus: Corpus, *, window_tokens: int | None = None, state_summary: bool = True
) -> RootPrompt:
    """The next root call of an execution. window_tokens: the root model's context window."""
    execution = run.execution
    head = (
        Message("system", system_text(execution)),
        Message("user", "\n\n".join(_asked(run, corpus, state_summary))),
    )
    room = int((window_tokens or DEFAULT_WINDOW_TOKENS) * CONVERSATION_SHARE * CHARS_PER_TOKEN)
    turns = conversation(run.turns, room, run if state_summary else None)
    return RootPrompt(_closed((*head, *turns), budget_snapshot(run)), root_prompt_version(execution))


def _asked(run: Run, corpus: Corpus, state_summary: bool) -> Iterator[str]:
    """The question, the corpus facts, and where there are any: what was said before and how to answer."""
    execution = run.execution
    yield f"QUESTION\n{execution.question}"
    yield corpus_facts(run, corpus)
    if execution.tools:
        yield "\n".join([TOOLS_HEAD, *(_tool_line(tool) for tool in execution.tools)])
    for earlier in execution.earlier.exchanges if execution.earlier else ():
        question, answer = clipped(earlier.question, NOTICE_CHARS), clipped(earlier.answer, NOTICE_CHARS)
        yield f"EARLIER QUESTION\n{question}\nEARLIER ANSWER\n{answer}"
    if execution.earlier and state_summary and not run.turns and (kept := state_summary_text(run)):
        yield kept
    if execution.output_schema is not None:
        schema = json.dumps(execution.output_schema, ensure_ascii=False, sort_keys=True)
        yield f"ANSWER SCHEMA\nThe value given to FINAL must satisfy this JSON Schema:\n{schema}"


def _tool_line(tool: ToolDescription) -> str:
    return f"- {tool.name}{tool.signature}" + (f": {tool.doc}" if tool.doc else "")


def best_answer_prompt(
    run: Run, corpus: Corpus, exhausted: Exhausted, *, window_tokens: int | None = None
) -> RootPrompt:
    """The one question for a best answer when a budget is used up."""
    prompt = root_prompt(run, corpus, window_tokens=window_tokens)
    ask = (
        f"Your budget is used up: {exhausted}. Give your best answer now from what you have seen so far, as "
        "plain text without code, and say what is uncertain or unfinished. There will be no further turn."
    )
    return RootPrompt(_closed(prompt.messages, ask), prompt.version)


def _closed(messages: tuple[Message, ...], last_words: str) -> tuple[Message, ...]:
    """Append to the last message, which is always the user's: some chat templates insist on alternation."""
    last = messages[-1]
    return (*messages[:-1], Message(last.role, f"{last.content}\n\n{last_words}"))


def corpus_facts(run: Run, corpus: Corpus) -> str:
    """Count, names, lengths and page counts of the documents; never their text."""
    execution = run.execution
    views = execution.views
    if views is None:
        views = tuple(View(document.doc_index) for document in corpus.documents)
    shown = [_shown(view, corpus.documents[view.doc_index]) for view in views]
    total = sum(length for length, _ in shown) + sum(map(len, execution.texts))
    facts = [fact for _, fact in shown] + [f"text: {len(text):,} characters" for text in execution.texts]
    lines = [f"CORPUS: {len(facts)} documents, {total:,} characters"]
    lines += [f"[{number}] {fact}" for number, fact in enumerate(facts[:NAMED_DOCUMENTS])]
    if len(facts) > NAMED_DOCUMENTS:
        lines.append(f"… and {len(facts) - NAMED_DOCUMENTS:,} more; names are in [d.name for d in context]")
    return "\n".join(lines)


def _shown(view: View, document: Document) -> tuple[int, str]:
    """How many characters a view shows, and what is said of it."""
    name = document.source_name[:NAME_CHARS]
    if not document.readable:
        return 0, f"{name}: not readable, empty here"
    end = document.char_length if view.end_char is None else min(view.end_char, document.char_length)
    length = max(0, end - view.start_char)
    whole = length == document.char_length
    part = "" if whole else f" (a part of its {document.char_length:,})"
    pages = f", {document.page_count} pages" if document.page_count and whole else ""
    return length, f"{name}: {length:,} characters{part}{pages}"


def conversation(turns: Sequence[Turn], room_chars: int, shown: Run | None) -> list[Message]:
    """The turns as messages; the oldest are cut to one line each where the room does not hold them all."""
    full: list[list[Message]] = []
    used, half = 0, max(MIN_ROOM_CHARS, room_chars // 2)
    for turn in reversed(turns):
        messages = [
            Message("assistant", clipped(said(turn), min(SAID_CHARS, half))),
            Message("user", clipped(observation(turn), half)),
        ]
        size = sum(len(message.content) for message in messages)
        if full and used + size > room_chars:
            break
        used += size
        full.insert(0, messages)
    kept = [message for messages in full for message in messages]
    older = turns[: len(turns) - len(full)]
    if older:
        kept = [Message("assistant", "(earlier turns)"), Message("user", _compacted(older)), *kept]
    if kept and shown is not None and (summary := state_summary_text(shown)):
        kept[-1] = Message("user", f"{kept[-1].content}\n\n{summary}")
    return kept


def said(turn: Turn) -> str:
    """What the root model said in a turn; never empty, which some APIs refuse."""
    text, code = turn.reply.text, turn.reply.code
    if code and code[:CODE_SEEN_CHARS].partition("\n")[0] not in text:
        # it came as a native tool call
        text = f"{text}\n```repl\n{code}\n```".lstrip()
    return text or "(empty reply)"


def clipped(text: str, limit: int) -> str:
    """The text, or its beginning and end with the number of characters left out between them."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… ({len(text) - 2 * half:,} characters left out) …\n{text[-half:]}"


def _compacted(turns: Sequence[Turn]) -> str:
    lines = ["Earlier turns, one line each (history in the sandbox has them whole):"]
    for turn in turns:
        code = (turn.reply.code or turn.reply.text).strip().splitlines() or [""]
        outcome = "no code" if turn.step is None else _outcome(turn.step)
        lines.append(f"turn {turn.index}: {code[0][:120]} … -> {outcome}")
    return "\n".join(lines)


def _outcome(step: StepResult) -> str:
    return (
        f"{step.error.code}: {step.error.message[:120]}"
        if step.error
        else f"printed {len(step.stdout):,} characters"
    )


def observation(turn: Turn) -> str:
    """What the root model is told about a turn: its output, its error, what could not be kept."""
    step = turn.step
    if step is None:
        return turn.reply.problem or "The step did not run."
    parts = [f"OUTPUT\n{step.stdout}" if step.stdout else "OUTPUT\n(nothing was printed)"]
    if step.error:
        parts.append(f"ERROR {step.error.code}: {step.error.message}\n{step.error.traceback}".rstrip())
    if step.yielded:
        parts.append(f"YIELDED: {clipped(step.yielded, NOTICE_CHARS)}")
    if step.not_kept:
        parts.append(clipped("\n".join(f"NOT KEPT: {reason}" for reason in step.not_kept), NOTICE_CHARS))
    queued = [subcall for subcall in turn.subcalls if not subcall.request.called]
    if queued:
        parts.append(
            "\n".join(
                [
                    "SUB-CALLS RESOLVED",
                    *(_queued_line(s.request.key, s.result.status, s.request.kind) for s in queued),
                ]
            )
        )
    return "\n".join(parts)


def _queued_line(key: str, status: str, kind: str) -> str:
    place = (
        f'state["_tool_results"]["search"]["{key}"]["hits"]'
        if kind == "search"
        else f'state["_tool_results"]["llm"]["{key}"]["text"]'
    )
    return f"{key}: {status}, {place}"


def state_summary_text(run: Run) -> str:
    """Names, types and sizes of what is kept in state and variables; never values."""
    lines = [
        f"state[{name!r}]: {shape_of(value)}" for name, value in list(run.state.items())[:STATE_KEYS_SHOWN]
    ]
    names = list(run.variables)[:STATE_KEYS_SHOWN]
    if names:
        lines.append("variables: " + ", ".join(names))
    return "\n".join(["KEPT", *lines]) if lines else ""


def shape_of(value: object) -> str:
    """Type and size of a kept value, in words."""
    if isinstance(value, dict):
        return f"dict of {len(value)}"
    if isinstance(value, list):
        return f"list of {len(value)}"
    if isinstance(value, str):
        return f"str of {len(value):,} characters"
    return type(value).__name__


def budget_snapshot(run: Run) -> str:
    """What is left, in one line."""
    return "BUDGET LEFT: " + ", ".join(_left(run.execution.budgets, run.spend))


def _left(budgets: Budgets, spend: Spend) -> list[str]:
    left = [
        f"{budgets.max_turns - spend.turns} turns",
        f"{max(0, budgets.max_total_seconds - spend.seconds):.0f} s",
        f"{budgets.max_llm_subcalls - spend.llm_subcalls} sub-calls",
        f"{budgets.max_spans_total - spend.spans} spans",
    ]
    if budgets.max_total_tokens is not None:
        left.append(f"{budgets.max_total_tokens - spend.tokens:,} tokens")
    if budgets.max_cost_usd is not None and spend.cost_usd is not None:
        left.append(f"${budgets.max_cost_usd - spend.cost_usd:.4f}")
    return left
