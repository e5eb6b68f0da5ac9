"""Answering the cases of a suite with the library: an RLM at a depth, or the direct baseline."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rlm_rs.core.answers import Answer, ExecutionFailed
from rlm_rs.library import RLM
from rlm_rs.suites.direct import answer_directly
from rlm_rs.suites.harness import Variant
from rlm_rs.suites.item_scores import Stretch
from rlm_rs.suites.results import Outcome
from rlm_rs.suites.suite import Case


class LibraryAnswering:
    """Answers with an RLM for each variant, by the variant's name.

    budgets: fields of `Budgets` to replace, for every case; max_depth comes from the variant. folder: where
    the results are kept, which stands for this run of the suite.
    """

    def __init__(
        self, rlms: Mapping[str, RLM], folder: Path, budgets: Mapping[str, Any] | None = None
    ) -> None:
        self._rlms = rlms
        self._budgets = dict(budgets or {})
        self._run = run_name(folder)

    async def answer(
        self, case: Case, variant: Variant, begun: Callable[[str], None], execution_id: str | None
    ) -> Outcome:
        """As `harness.Answering` says; an execution that failed is an outcome too."""
        rlm = self._rlms[variant.name]
        session = await rlm.asession(case.corpus)
        if variant.depth is None:
            return await answer_directly(rlm, session, case, f"eval/{self._run}/{case.id}", begun)
        if execution_id is None:
            budgets = {**self._budgets, "max_depth": variant.depth}
            execution_id = await session.abegin(case.question, budgets=budgets)
            begun(execution_id)
        try:
            return _outcome(await rlm.aresume(execution_id))
        except ExecutionFailed as error:
            return _outcome(error.result)


def run_name(folder: Path) -> str:
    """A name for what is run into a folder, the same every time."""
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]


def scope_of(folder: Path, variant: Variant) -> str:
    """The cache scope (`RLM_CACHE_SCOPE`) of a variant.

    What another variant or another run paid for would make this one look cheap.
    """
    return f"eval/{run_name(folder)}/{variant.name}"


def _outcome(answer: Answer) -> Outcome:
    spend = answer.spend
    return Outcome(
        execution_id=answer.execution_id,
        status=str(answer.status),
        answer=answer.text,
        value=answer.value,
        partial=answer.partial,
        error=answer.error.message if answer.error else None,
        cited=tuple(
            Stretch(cited.source_name, cited.ref.start_char, cited.ref.end_char) for cited in answer.citations
        ),
        turns=spend.turns,
        llm_subcalls=spend.llm_subcalls,
        input_tokens=spend.input_tokens,
        output_tokens=spend.output_tokens,
        cost_usd=spend.cost_usd,
        seconds=round(spend.seconds, 3),
    )
