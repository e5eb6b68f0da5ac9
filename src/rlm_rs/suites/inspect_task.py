"""A suite as a task of Inspect (https://inspect.aisi.org.uk): the extra `inspect` brings it.

    inspect eval rlm_rs/rlm_suite --model none -T suite=my_suite

Inspect runs and logs the cases; the models are those RLM-RS is configured with, not Inspect's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver

from rlm_rs.library import RLM
from rlm_rs.suites.answering import LibraryAnswering
from rlm_rs.suites.harness import Variant, scored, variants_of
from rlm_rs.suites.metrics import references_of
from rlm_rs.suites.oracle import OracleModel
from rlm_rs.suites.results import Outcome
from rlm_rs.suites.suite import Case, read_suite


@task
def rlm_suite(
    suite: str,
    depth: int = 1,
    direct: bool = False,
    root_model: str | None = None,
    sub_model: str | None = None,
    data_dir: str | None = None,
    oracle: bool = False,
) -> Task:
    """The cases of a suite, answered by an RLM of that depth, or directly. oracle: by a script that knows."""
    cases = read_suite(Path(suite))
    (variant,) = variants_of([] if direct else [depth], direct)
    provider = OracleModel(cases) if oracle else None
    rlm = RLM(root_model=root_model, sub_model=sub_model, data_dir=data_dir, provider=provider)
    return Task(
        dataset=MemoryDataset([_sample(case) for case in cases], name=Path(suite).name),
        solver=answered_by(rlm, cases, variant, Path(suite)),
        scorer=reference_score(cases, variant),
    )


def _sample(case: Case) -> Sample:
    return Sample(id=case.id, input=case.question, target=list(references_of(case.answer)))


@solver
def answered_by(rlm: RLM, cases: Sequence[Case], variant: Variant, place: Path) -> Solver:
    """Answers each case with the library; the outcome is kept for the scorer."""
    answering = LibraryAnswering({variant.name: rlm}, place)
    known = {case.id: case for case in cases}

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        outcome = await answering.answer(known[str(state.sample_id)], variant, lambda _: None, None)
        state.output.completion = outcome.answer or ""
        state.store.set("outcome", outcome)
        return state

    return solve


@scorer(metrics={"answer": [mean(), stderr()], "citation_recall": [mean()], "citation_precision": [mean()]})
def reference_score(cases: Sequence[Case], variant: Variant) -> Scorer:
    """The case's own metric, and how the citations meet its spans."""
    known = {case.id: case for case in cases}

    async def score(state: TaskState, target: Target) -> Score:
        outcome: Outcome = state.store.get("outcome")
        result = scored(known[str(state.sample_id)], variant, outcome)
        return Score(
            value={
                "answer": result.score,
                "citation_recall": result.citations.recall or 0.0,
                "citation_precision": result.citations.precision or 0.0,
            },
            answer=outcome.answer or "",
            explanation=outcome.error or outcome.skipped,
            metadata={"execution_id": outcome.execution_id, "cost_usd": outcome.cost_usd},
        )

    return score
