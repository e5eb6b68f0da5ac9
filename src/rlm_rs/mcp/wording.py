"""The tools' answers in words: what a person, or a model that is given text, reads."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from rlm_rs.api.views import DocumentView, SpanOut, ToolsOut
from rlm_rs.core.corpus import IngestStatus
from rlm_rs.core.execution import (
    CancelRequested,
    Event,
    Finished,
    RootReplied,
    Started,
    StepRan,
    SubcallResolved,
)
from rlm_rs.mcp.cutting import PIECE_TOKENS, first, on_one_line
from rlm_rs.mcp.replies import (
    Asked,
    Cited,
    ExecutionShown,
    Passage,
    SessionShown,
    StepShown,
    VerifiedShown,
    place_of,
)

SHOWN_DOCUMENTS = 20
RESULT_CHARS = 400


def asked_text(asked: Asked) -> str:
    """An answer with its citations, or how to come by it."""
    parts = [_headline(asked), asked.answer or "", _citations(asked), _unread(asked.unread), _handles(asked)]
    return "\n\n".join(part for part in parts if part)


def _headline(asked: Asked) -> str:
    if asked.error:
        return (
            f"There is no whole answer ({asked.status}): {asked.error}"
            if asked.partial
            else (f"There is no answer ({asked.status}): {asked.error}")
        )
    if asked.partial:
        return f"A budget ran out ({asked.status}); this is the best answer so far:"
    if asked.status is None:
        return "The documents are still being read in."
    return "The answer is still being worked on." if asked.status == "RUNNING" else ""


def _citations(asked: Asked) -> str:
    lines = [_cited(citation) for citation in asked.citations]
    left = asked.citations_total - len(asked.citations)
    if left > 0:
        lines.append(f"({left} more citations: rlm_get_execution with citations_from={len(asked.citations)})")
    return "\n".join(lines)


def _cited(citation: Cited) -> str:
    page = f", page {citation.page}" if citation.page else ""
    verified = "verified" if citation.verified else "NOT verified: the stored text has changed"
    place = f"[{citation.number}] {citation.source_name}{page}"
    return f'{place}: "{citation.quote}" ({citation.support}, {verified})'


def _unread(unread: list[str]) -> str:
    return "Not read:\n" + "\n".join(f"- {line}" for line in unread) if unread else ""


def _handles(asked: Asked) -> str:
    ids = [f"{name}={value}" for name, value in _ids(asked) if value]
    return "\n".join(filter(None, (f"({', '.join(ids)})" if ids else "", asked.next)))


def _ids(asked: Asked) -> Iterable[tuple[str, str | None]]:
    return (("execution_id", asked.execution_id), ("session_id", asked.session_id))


def session_text(session: SessionShown) -> str:
    """A session: its state, its documents."""
    lines = [f"{session.session_id} is {session.status}: {session.docs_total} documents."]
    lines += [_document(document) for document in session.docs[:SHOWN_DOCUMENTS]]
    if len(session.docs) > SHOWN_DOCUMENTS:
        lines.append(f"- … (all {len(session.docs)} of this page are in the structured result)")
    return "\n".join([*lines, *([session.next] if session.next else [])])


def _document(document: DocumentView) -> str:
    what = document.ingest_status.value
    if document.ingest_status == IngestStatus.FAILED:
        what = f"FAILED: {document.failure_reason}"
    elif document.char_length:
        what = f"{document.char_length:,} characters"
    return f"- {document.source_name} ({document.doc_id}): {what}"


def execution_text(execution: ExecutionShown) -> str:
    """An execution: how far it is, what it says, what it rests on."""
    lines = [
        f"{execution.execution_id} is {execution.status}{' (partial answer)' if execution.partial else ''}."
    ]
    if execution.error:
        lines.append(f"{execution.error.code}: {execution.error.message}")
    if execution.answer:
        lines.append(execution.answer)
    lines += [
        f"[{execution.citations_from + number}] {place_of(citation)}, characters {citation.start_char} to "
        f"{citation.end_char} ({citation.support})"
        for number, citation in enumerate(execution.citations, start=1)
    ]
    lines += [f"{item.source_name}: {on_one_line(item.text, RESULT_CHARS)}" for item in execution.contexts]
    return "\n".join([*lines, *([execution.next] if execution.next else [])])


def step_text(step: StepShown) -> str:
    """What a step printed, answered, asked for, or failed of."""
    lines = [step.stdout.rstrip()] if step.stdout else []
    if step.error:
        lines.append(f"{step.error.get('code')}: {step.error.get('message')}")
    if (step.final or {}).get("is_final"):
        lines.append(f"FINAL: {(step.final or {}).get('answer')}")
    queued = [
        f"{kind}: {request.get('key')}" for kind, items in step.tool_requests.items() for request in items
    ]
    if queued:
        lines.append(f"Queued: {', '.join(queued)}")
    said = first("\n".join(lines), PIECE_TOKENS)
    return "\n".join(filter(None, [said, step.next])) or "(no output)"


def tools_text(tools: ToolsOut) -> str:
    """What sub-calls gave, each on a line."""
    lines = [
        f"{key}: {tools.statuses.get(key, '?')}: {on_one_line(_found(found), RESULT_CHARS)}"
        for items in tools.tool_results.values()
        for key, found in items.items()
    ]
    return first("\n".join(lines) or "Nothing was asked.", PIECE_TOKENS)


def _found(found: object) -> str:
    if isinstance(found, dict) and isinstance(found.get("text"), str):
        return str(found["text"])
    return orjson.dumps(found, default=str).decode()


def span_text(span: SpanOut) -> str:
    """The text of a range."""
    return f"{span.text}\n(characters {span.ref.start_char} to {span.ref.end_char})"


def verified_text(found: VerifiedShown) -> str:
    """Whether a citation holds."""
    said = f"It does not hold: {found.reason}."
    if found.valid:
        said = f'It holds: {found.source_name} says "{on_one_line(found.text or "", RESULT_CHARS)}".'
    return "\n".join(filter(None, [said, found.next]))


def passage_text(passage: Passage) -> str:
    """A part of a document, and where it stands."""
    where = (
        f"{passage.source_name}, characters {passage.start_char} to {passage.end_char} of "
        f"{passage.char_length}:"
    )
    return "\n".join([where, passage.text, *([passage.next] if passage.next else [])])


def step_of(document_count: int, done: int) -> str:
    """Progress while documents are read in."""
    return f"reading in: {done} of {document_count} documents"


def happened(event: Event) -> str:
    """Progress while an execution goes on, in a few words."""
    match event:
        case Started():
            return "asking the root model"
        case RootReplied():
            return f"turn {event.turn + 1}: the root model wrote {'a step' if event.code else 'no code'}"
        case StepRan():
            return f"turn {event.turn + 1}: {_ran(event)}"
        case SubcallResolved():
            return f"turn {event.turn + 1}: a sub-call ({event.request.kind}) was answered"
        case CancelRequested():
            return "cancelling"
        case Finished():
            return f"ended: {event.status}"


def _ran(event: StepRan) -> str:
    result = event.result
    if result.error is not None:
        return f"the step failed ({result.error.code})"
    if result.status != "finished":
        return f"the step waits for {len(result.requests)} sub-calls"
    return f"the step read {len(result.spans)} passages"
