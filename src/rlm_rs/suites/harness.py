"""Running a suite: every case by every variant, several at once, going on where an earlier run stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

from rlm_rs.core.errors import RlmError
from rlm_rs.suites.item_scores import Stretch, citation_score
from rlm_rs.suites.metrics import score
from rlm_rs.suites.results import Outcome, Result, Results
from rlm_rs.suites.suite import Case

DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to answer. depth: `max_depth` of an RLM; None: the whole text in the root model's window."""

    name: str
    depth: int | None = None


def variants_of(depths: Sequence[int], direct: bool) -> tuple[Variant, ...]:
    """An RLM for each depth, and the direct baseline."""
    ours = tuple(Variant(f"rlm-depth-{depth}", depth) for depth in depths)
    return (*ours, Variant(DIRECT)) if direct else ours


class Answering(Protocol):
    """What answers a case in a variant's way."""

    async def answer(
        self, case: Case, variant: Variant, begun: Callable[[str], None], execution_id: str | None
    ) -> Outcome:
        """Answer, calling `begun` with the execution's id before anything is paid for.

        execution_id: that of an earlier run, to go on with. Raises `RlmError` if it cannot be brought to an
        end now and may be tried again: a provider that cannot be reached.
        """


Told = Callable[[Case, Variant, Result | RlmError], None]


async def run_suite(
    cases: Sequence[Case],
    variants: Sequence[Variant],
    answering: Answering,
    results: Results,
    *,
    concurrency: int = 4,
    told: Told | None = None,
) -> int:
    """Bring every case to a result, unless it has one; returns how many could not be.

    told is called as each ends. Cancelled, it leaves what has begun to a later run.
    """
    slots = asyncio.Semaphore(concurrency)
    missing = 0

    async def one(case: Case, variant: Variant) -> None:
        nonlocal missing
        async with slots:
            try:
                ended: Result | RlmError = await _brought_to_result(case, variant, answering, results)
            except RlmError as error:
                missing += 1
                ended = error
        if told:
            told(case, variant, ended)

    async with asyncio.TaskGroup() as group:
        for case, variant in product(cases, variants):
            if (case.id, variant.name) not in results.done:
                group.create_task(one(case, variant))
    return missing


async def _brought_to_result(case: Case, variant: Variant, answering: Answering, results: Results) -> Result:
    def begun(execution_id: str) -> None:
        results.record_begun(case.id, variant.name, execution_id)

    known = results.begun.get((case.id, variant.name))
    outcome = await answering.answer(case, variant, begun, known)
    result = scored(case, variant, outcome)
    results.record(result)
    return result


def scored(case: Case, variant: Variant, outcome: Outcome) -> Result:
    """An outcome held against the case's reference."""
    wanted = [Stretch(span.source_name, span.start_char, span.end_char) for span in case.spans]
    cites = variant.depth is not None
    return Result(
        case_id=case.id,
        kind=case.kind,
        length=case.length,
        variant=variant.name,
        score=score(case.metric, outcome.answer, outcome.value, case.answer),
        citations=citation_score(outcome.cited, wanted if cites else ()),
        outcome=outcome,
    )
