"""What a turn did, in words: from the code that was written and from what came of it."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator

from rlm_rs.cli.amounts import count
from rlm_rs.cli.streams import one_line
from rlm_rs.core.execution import SubcallResolved, Turn
from rlm_rs.core.spans import is_scan, read_ranges
from rlm_rs.sandbox.protocol import StepResult, SubcallRequest

SEARCHING = frozenset({"find", "regex", "finditer", "findall", "search"})
STRUCTURE = frozenset({"sections", "page_spans", "tables"})
TERMS_SHOWN = 3
TERM_CHARS = 32
ERROR_CHARS = 120


def what_happened(turn: Turn) -> str:
    """One phrase: "searched 8 documents for “renew”, read 14 passages and answered"."""
    if turn.reply.code is None:
        return _without_code(turn)
    parts = [*_looked(turn), *_asked(turn.subcalls)]
    if not parts and turn.reply.exhausted is None:
        parts = ["looked at what there is" if "context" in turn.reply.code else "worked on what it had"]
    return _joined([*parts, *_ended(turn)])


def waited_for(requests: Iterable[SubcallRequest]) -> str:
    """What goes on while these are answered: "asking the sub-model", "running child executions"."""
    kinds = {request.kind for request in requests}
    words = {
        "llm": "asking the sub-model",
        "rlm": "running child executions",
        "search": "searching the index",
        "tool": "calling tools",
    }
    return _joined([phrase for kind, phrase in words.items() if kind in kinds])


def _without_code(turn: Turn) -> str:
    if turn.reply.exhausted and turn.reply.final:
        return "gave its best answer from what it had"
    if turn.reply.exhausted:
        return "was asked for its best answer and gave none"
    return "answered in plain text" if turn.reply.final else "replied without code to run"


def _looked(turn: Turn) -> Iterator[str]:
    calls = list(_calls(turn.reply.code or ""))
    step = turn.step or StepResult("finished")
    yield from _searched(step, calls)
    if any(name in STRUCTURE for name, _ in calls):
        yield "looked at the structure"
    reads = read_ranges(step.spans)
    if reads:
        passages = count(len(reads), "passage")
        documents = len({place.doc_index for place in reads})
        yield f"read {passages}" + (f" in {documents} documents" if documents > 1 else "")


def _searched(step: StepResult, calls: list[tuple[str, str | None]]) -> Iterator[str]:
    # what the index found is told with the questions it was asked
    scanned = {span.doc_index for span in step.spans if is_scan(span) and span.tag != "scan:search"}
    if not scanned:
        return
    where = "all documents" if -1 in scanned else count(len(scanned), "document")
    yield f"searched {where}{_for_terms(calls)}"


def _for_terms(calls: list[tuple[str, str | None]]) -> str:
    return _for_any([term for name, term in calls if name in SEARCHING and term])


def _for_any(wanted: Iterable[str]) -> str:
    terms = list(dict.fromkeys(wanted))
    if not terms:
        return ""
    shown = [f"“{one_line(term, TERM_CHARS)}”" for term in terms[:TERMS_SHOWN]]
    if len(terms) > TERMS_SHOWN:
        shown.append(f"{len(terms) - TERMS_SHOWN} more")
    return f" for {_joined(shown)}"


def _calls(code: str) -> Iterator[tuple[str, str | None]]:
    """Names of the methods and functions called, each with its first argument if that is a plain string."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a model's code deserves is no news to the user
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := _called(node.func)):
            yield name, _plain_string(node.args[0]) if node.args else None


def _called(function: ast.expr) -> str | None:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def _plain_string(argument: ast.expr) -> str | None:
    value = argument.value if isinstance(argument, ast.Constant) else None
    return value if isinstance(value, str) else None


def _asked(subcalls: tuple[SubcallResolved, ...]) -> Iterator[str]:
    for kind, phrase, noun in (
        ("llm", "asked the sub-model {}", "question"),
        ("rlm", "ran {}", "child execution"),
        ("tool", "made {}", "tool call"),
    ):
        resolved = [subcall for subcall in subcalls if subcall.request.kind == kind]
        if resolved:
            yield phrase.format(count(len(resolved), noun)) + _qualified(resolved)
    searches = [subcall for subcall in subcalls if subcall.request.kind == "search"]
    if searches:
        asked = _for_any(subcall.request.prompt for subcall in searches)
        yield f"searched the index{asked}{_qualified(searches)}"


def _qualified(resolved: list[SubcallResolved]) -> str:
    failed = sum(subcall.result.status == "error" for subcall in resolved)
    cached = sum(subcall.cache_hit for subcall in resolved)
    notes = [f"{cached:,} known already"] if cached else []
    notes += [f"{failed:,} failed"] if failed else []
    return f" ({', '.join(notes)})" if notes else ""


def _ended(turn: Turn) -> Iterator[str]:
    step = turn.step
    if step and step.error:
        line = f" in line {step.error.line}" if step.error.line else ""
        yield f"met an error{line}: {one_line(step.error.message, ERROR_CHARS)}"
    elif step and step.final:
        yield "gave its best answer" if turn.reply.exhausted else "answered"


def _joined(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
