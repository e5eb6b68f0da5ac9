"""An answer on standard output: the answer, then its citations, or all of it as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rlm_rs.cli.options import program_name
from rlm_rs.cli.streams import one_line, say, say_json, tell
from rlm_rs.core.answers import Answer, CheckedCitation
from rlm_rs.core.citing import ContextItem
from rlm_rs.core.corpus import Document

QUOTE_CHARS = 160
CITATIONS_SHOWN = 20
FAILURES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Form:
    """How an answer is given. whole: every citation, however many there are."""

    quiet: bool = False
    as_json: bool = False
    as_lines: bool = False
    whole: bool = False


def say_answer(answer: Answer, form: Form) -> None:
    """The answer in the form asked for."""
    if form.as_lines:
        say_json({"type": "Answer", **answer.to_dict()}, indent=None)
    elif form.as_json:
        say_json(answer.to_dict())
    else:
        _say_text(answer, form)


def exit_code(answer: Answer) -> int:
    """0 answered, 3 answered in part, 1 not answered."""
    if answer.partial and (answer.text is not None or answer.contexts):
        return 3
    return 0 if answer.status == "COMPLETED" else 1


def tell_failures(documents: Sequence[Document]) -> None:
    """Each document that could not be read, and what to do about it."""
    failed = [document for document in documents if document.failure]
    for document in failed[:FAILURES_SHOWN]:
        reason = document.failure.message if document.failure else ""
        tell(f"could not read {document.source_name}: {one_line(reason)}")
    if len(failed) > FAILURES_SHOWN:
        tell(f"could not read {len(failed) - FAILURES_SHOWN:,} more documents; --json lists them all")


def citation_line(number: int, citation: CheckedCitation) -> str:
    """`[1] msa.pdf, page 3: "either party may …" (quoted, verified)`."""
    page = f", page {citation.page}" if citation.page else ""
    verified = "verified" if citation.verified else "CHANGED since it was cited"
    note = f"; {one_line(citation.note, QUOTE_CHARS)}" if citation.note else ""
    quote = one_line(citation.text, QUOTE_CHARS)
    return f'[{number}] {citation.source_name}{page}: "{quote}" ({citation.support}, {verified}{note})'


def _say_text(answer: Answer, form: Form) -> None:
    if answer.text is not None:
        say(answer.text)
    if answer.contexts:
        say("\n\n".join(_context(item, form) for item in answer.contexts))
    elif not form.quiet and answer.citations:
        say("\n" + "\n".join(_citations(answer, form)))


def _citations(answer: Answer, form: Form) -> Iterator[str]:
    shown = len(answer.citations) if form.whole else CITATIONS_SHOWN
    for number, citation in enumerate(answer.citations[:shown], start=1):
        yield citation_line(number, citation)
    left = len(answer.citations) - shown
    if left > 0:
        yield f"… and {left:,} more: {program_name()} show {answer.execution_id}"


def _context(item: ContextItem, form: Form) -> str:
    if form.quiet:
        return item.text
    place = f"characters {item.ref.start_char:,} to {item.ref.end_char:,}"
    return f"[{item.sequence_index + 1}] {item.source_name}, {place}\n{item.text}"
