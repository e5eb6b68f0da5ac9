"""The direct baseline: the whole corpus in the root model's window and the question after it, in one call."""

from __future__ import annotations

from collections.abc import Callable

from rlm_rs.core.budget import CHARS_PER_TOKEN
from rlm_rs.core.model import Message, ModelRequest
from rlm_rs.core.pricing import context_window
from rlm_rs.library import RLM, Session
from rlm_rs.orchestrator.completions import Caller, Completion
from rlm_rs.suites.results import Outcome
from rlm_rs.suites.suite import Case

INSTRUCTIONS = (
    "Answer the question from the documents alone. Give the answer in the form the question asks for, "
    "and nothing else."
)
ANSWER_TOKENS = 4096
EXCEEDED, UNKNOWN = "CONTEXT_WINDOW_EXCEEDED", "UNKNOWN_CONTEXT_WINDOW"


async def answer_directly(
    rlm: RLM, session: Session, case: Case, place: str, begun: Callable[[str], None]
) -> Outcome:
    """One call of the root model, unless the corpus does not fit; a recorded reply is not paid again.

    place: what the call is remembered by, the same in a later run. Tokens are counted as a quarter of the
    characters, without a call. Raises `ProviderFailed`.
    """
    models = rlm.wiring.models(*rlm.model_names)
    window = context_window(models.root, rlm.wiring.ports.windows)
    chars = sum(document.char_length for document in session.documents if document.readable)
    if why := _does_not_fit(chars + len(case.question), window):
        return Outcome(place, "SKIPPED", skipped=why)
    request = ModelRequest(models.root, await _messages(session, case), ANSWER_TOKENS, 0.0)
    begun(place)
    completion = await rlm.wiring.ports.completions.complete(
        request, Caller(rlm.tenant_id, place), shared=False
    )
    return _outcome(place, completion)


def _does_not_fit(chars: int, window: int | None) -> str | None:
    if window is None:
        return UNKNOWN
    return EXCEEDED if chars / CHARS_PER_TOKEN + ANSWER_TOKENS > window else None


async def _messages(session: Session, case: Case) -> tuple[Message, ...]:
    texts = [
        f'<document name="{document.source_name}">\n{await session.atext(document)}\n</document>'
        for document in session.documents
        if document.readable
    ]
    asked = "\n\n".join([*texts, f"Question: {case.question}"])
    return Message("system", INSTRUCTIONS), Message("user", asked)


def _outcome(place: str, completion: Completion) -> Outcome:
    reply = completion.reply
    return Outcome(
        execution_id=place,
        status="COMPLETED",
        answer=reply.text.strip(),
        turns=1,
        input_tokens=reply.usage.input_tokens if reply.usage else 0,
        output_tokens=reply.usage.output_tokens if reply.usage else 0,
        cost_usd=completion.cost_usd,
        seconds=round(reply.seconds, 3),
    )
