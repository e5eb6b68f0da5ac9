"""The direct baseline of a suite: each case in one call of the root model, where its corpus fits."""

from __future__ import annotations

from collections.abc import Callable

from rlm_rs.core.pricing import context_window
from rlm_rs.evaluation.baseline import baseline_request, why_not_asked
from rlm_rs.library import RLM, Session
from rlm_rs.orchestrator.completions import Caller, Completion
from rlm_rs.suites.results import Outcome
from rlm_rs.suites.suite import Case


async def answer_directly(
    rlm: RLM, session: Session, case: Case, place: str, begun: Callable[[str], None]
) -> Outcome:
    """One call of the root model, unless the corpus does not fit; a recorded reply is not paid again.

    place: what the call is remembered by, the same in a later run. Raises `ProviderFailed`.
    """
    model = rlm.wiring.models(*rlm.model_names).root
    documents = [document for document in session.documents if document.readable]
    window = context_window(model, rlm.wiring.ports.windows)
    if why := why_not_asked(documents, case.question, window):
        return Outcome(place, "SKIPPED", skipped=why)
    texts = [(document.source_name, await session.atext(document)) for document in documents]
    request = baseline_request(model, case.question, texts, temperature=0.0)
    begun(place)
    completion = await rlm.wiring.ports.completions.complete(
        request, Caller(rlm.tenant_id, place), shared=False
    )
    return _outcome(place, completion)


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
