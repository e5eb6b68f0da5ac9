"""Evaluation: work of its own after an execution, through the same calls, never in its way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from judge import JudgingModel, faithfulness, relevancy
from serving import BUCKET, MINE, Serving, serving
from stage import step
from test_worker import QUICK, until, working

from rlm_rs.core.errors import EvaluationNotFound, ExecutionNotFound, ProviderFailed, ValidationFailed
from rlm_rs.core.model import ModelRequest
from rlm_rs.core.pricing import Price
from rlm_rs.core.records import EvaluationRecord, EvaluationStatus, WorkItem, WorkKind
from rlm_rs.evaluation.evaluator import JudgedEvaluator
from rlm_rs.evaluation.rederiving import differences
from rlm_rs.orchestrator.completions import Completions
from rlm_rs.orchestrator.evaluating import evaluation_of, recompute
from rlm_rs.orchestrator.executions import Choices, NewExecution, submit, wait
from rlm_rs.orchestrator.lifecycle import delete_session
from rlm_rs.orchestrator.runtime import NewRuntime, create_runtime
from rlm_rs.orchestrator.tracing.evaluated import evaluated_trace, evaluation_of_run
from rlm_rs.storage.memory_evaluations import MemoryEvaluations
from rlm_rs.storage.memory_work import MemoryWork

ALL = (WorkKind.INGESTION, WorkKind.EXECUTION, WorkKind.EVALUATION)
WINDOW = {"scripted-root": 60_000}
PRICES = {"scripted-root": Price(1.0, 2.0)}


def evaluating(
    directory: Path, model: JudgingModel, *, evaluate_all: bool = True, baseline: bool = True, **ports: Any
) -> Serving:
    """A service whose executions are evaluated."""
    served = serving(directory, model)
    completions = Completions(model, served.blobs, PRICES, BUCKET)
    given = {"windows": WINDOW, "prices": PRICES, "completions": completions, **ports}
    whole = replace(served.service.ports, **given)
    evaluator = JudgedEvaluator(whole, baseline=baseline)
    service = replace(
        served.service,
        ports=whole,
        evaluations=MemoryEvaluations(),
        evaluator=evaluator,
        evaluate_all=evaluate_all,
    )
    return replace(served, service=service)


async def ask(served: Serving, text: str = "alpha beta gamma", **new: Any) -> str:
    view = await served.session(text)
    run = await submit(MINE, view.session.session_id, NewExecution("What?", **new), served.service)
    return run.execution.execution_id


async def evaluated(served: Serving, execution_id: str) -> EvaluationRecord:
    """The evaluation, once it is no longer to be made."""

    async def is_there() -> bool:
        found = await served.service.evaluations.get_evaluation(MINE, execution_id)
        return found is not None and found.status != EvaluationStatus.RUNNING

    await until(is_there)
    _, record = await evaluation_of(MINE, execution_id, served.service)
    return record


async def evaluation(served: Serving, **new: Any) -> EvaluationRecord:
    """What the workers make of a question."""
    async with working(served.service, kinds=ALL):
        return await evaluated(served, await ask(served, **new))


async def test_a_completed_execution_is_evaluated_in_all_parts(tmp_path: Path) -> None:
    model = JudgingModel()
    served = evaluating(tmp_path, model)
    choices = Choices(options={"reference_answers": ["alpha"]})
    record = await evaluation(served, choices=choices)
    assert record.status == EvaluationStatus.COMPLETED
    assert (record.baseline_status, record.baseline_answer) == (
        "COMPLETED",
        "The baseline's answer is alpha.",
    )
    assert (record.baseline_context_window, record.judge_model) == (60_000, "scripted-root")
    scores = {"answer_relevancy": 0.75, "faithfulness": 0.75}
    assert record.judge_metrics == {"answerer": scores, "baseline": scores}
    assert record.reference_scores["answerer"]["contains"] == 1
    assert record.reference_scores["baseline"]["contains"] == 1
    assert record.contexts_used == "read"
    assert [call.purpose for call in record.calls] == [
        "baseline",
        "answer_relevancy of answerer",
        "faithfulness of answerer",
        "answer_relevancy of baseline",
        "faithfulness of baseline",
    ]
    asked = model.asked("faithfulness")
    assert "<passage 1>\nalpha\n</passage>" in asked[0].messages[-1].content
    assert "<passage 1>\nalpha beta gamma\n</passage>" in asked[1].messages[-1].content
    assert "alpha beta gamma" in model.asked("baseline")[0].messages[-1].content


async def test_what_it_costs_is_counted_apart(tmp_path: Path) -> None:
    served = evaluating(tmp_path, JudgingModel())
    record = await evaluation(served)
    run, _ = await evaluation_of(MINE, record.execution_id, served.service)
    spend = evaluation_of_run(run, record)["spend"]
    assert spend["calls"] == 5
    assert spend["cost_usd"] == pytest.approx(
        sum(call.input_tokens * 1e-6 + call.output_tokens * 2e-6 for call in record.calls)
    )
    assert run.spend.turns == 1
    assert run.spend.input_tokens == run.turns[0].reply.usage.input_tokens if run.turns[0].reply.usage else 0


async def test_nothing_is_evaluated_unless_it_is_switched_on(tmp_path: Path) -> None:
    model = JudgingModel()
    served = evaluating(tmp_path, model, evaluate_all=False)
    async with working(served.service, kinds=ALL):
        plain = await ask(served)
        wanted = await ask(served, choices=Choices(options={"evaluate": True}))
        await evaluated(served, wanted)
        await wait(MINE, plain, 10, served.service)
        with pytest.raises(EvaluationNotFound):
            await evaluation_of(MINE, plain, served.service)
    assert len(model.asked("baseline")) == 1


async def test_an_execution_can_decline(tmp_path: Path) -> None:
    model = JudgingModel()
    served = evaluating(tmp_path, model)
    async with working(served.service, kinds=ALL):
        declined = await ask(served, choices=Choices(options={"evaluate": False}))
        await evaluated(served, await ask(served))
        with pytest.raises(EvaluationNotFound):
            await evaluation_of(MINE, declined, served.service)


@pytest.mark.parametrize(
    ("ports", "options", "reason"),
    [
        ({"windows": {}}, {}, "UNKNOWN_CONTEXT_WINDOW"),
        ({"windows": {"scripted-root": 8_200}}, {}, "CONTEXT_WINDOW_EXCEEDED"),
        ({}, {"baseline": False}, "BASELINE_OFF"),
    ],
)
async def test_a_baseline_that_cannot_be_had_is_left_out_and_not_asked(
    tmp_path: Path, ports: dict[str, Any], options: dict[str, Any], reason: str
) -> None:
    model = JudgingModel()
    record = await evaluation(evaluating(tmp_path, model, **ports, **options))
    assert (record.status, record.baseline_status) == (EvaluationStatus.COMPLETED, "SKIPPED")
    assert record.baseline_skip_reason == reason
    assert model.asked("baseline") == []
    assert "baseline" not in record.judge_metrics


async def test_a_provider_that_refuses_the_baseline_leaves_the_rest(tmp_path: Path) -> None:
    refusal = ProviderFailed("no such model", retryable=False)
    record = await evaluation(evaluating(tmp_path, JudgingModel(baseline=refusal)))
    assert record.baseline_skip_reason == "BASELINE_ERROR"
    assert record.judge_metrics["answerer"]["faithfulness"] == 0.75


async def test_a_judge_that_is_not_understood_is_told_so_once(tmp_path: Path) -> None:
    def wavering(request: ModelRequest) -> str:
        return relevancy("yes") if len(request.messages) > 2 else "10 out of 10"

    model = JudgingModel(answer_relevancy=wavering, faithfulness="10 out of 10")
    record = await evaluation(evaluating(tmp_path, model, windows={}))
    assert record.judge_metrics["answerer"] == {"answer_relevancy": 1.0, "faithfulness": None}
    assert record.skip_reasons == {"answerer": {"faithfulness": "JUDGE_REPLY_INVALID"}}
    assert len(model.asked("faithfulness")) == 2


async def test_an_answer_that_read_nothing_or_claims_nothing_has_no_faithfulness(tmp_path: Path) -> None:
    served = evaluating(tmp_path, JudgingModel(root=step("FINAL('hello')")), baseline=False)
    record = await evaluation(served)
    assert record.skip_reasons == {"answerer": {"faithfulness": "NO_CONTEXTS"}}
    served = evaluating(tmp_path, JudgingModel(faithfulness=faithfulness()), baseline=False)
    record = await evaluation(served)
    assert record.skip_reasons == {"answerer": {"faithfulness": "NO_CLAIMS"}}


async def test_what_does_not_fit_the_judge_is_judged_by_what_was_cited(tmp_path: Path) -> None:
    root = step("text = context[0][0:40000]\nmark = context[0].cite(0, 5)\nFINAL('alpha ' + mark)")
    served = evaluating(tmp_path, JudgingModel(root=root), windows={"scripted-root": 9_000}, baseline=False)
    record = await evaluation(served, text="alpha " * 8000)
    assert record.contexts_used == "cited"
    assert record.judge_metrics["answerer"]["faithfulness"] == 0.75


async def test_a_provider_that_is_away_puts_it_off_and_is_not_paid_twice(tmp_path: Path) -> None:
    failures = [ProviderFailed("away", retryable=True)] * 2

    def sometimes(request: ModelRequest) -> str | Exception:
        return failures.pop() if failures else faithfulness(True)

    model = JudgingModel(faithfulness=sometimes)
    record = await evaluation(evaluating(tmp_path, model))
    assert record.judge_metrics["answerer"]["faithfulness"] == 1.0
    assert len(model.asked("baseline")) == 1
    assert len(model.asked("answer_relevancy")) == 2
    assert all(not call.cache_hit for call in record.calls)


async def test_what_never_succeeds_fails_the_evaluation_and_not_the_execution(tmp_path: Path) -> None:
    model = JudgingModel(faithfulness=ProviderFailed("away", retryable=True))
    served = evaluating(tmp_path, model)
    quick = replace(QUICK, backoff=0.01, max_backoff=0.01, max_attempts=1)
    async with working(served.service, quick, ALL):
        execution_id = await ask(served)
        record = await evaluated(served, execution_id)
    assert record.status == EvaluationStatus.FAILED
    assert "away" in (record.failure or "")
    run, _ = await evaluation_of(MINE, execution_id, served.service)
    assert run.finished is not None
    assert run.finished.status == "COMPLETED"
    assert await served.service.work.waiting(WorkKind.EVALUATION) == 0


async def test_recomputing_gives_the_same_figures_and_pays_nothing(tmp_path: Path) -> None:
    model = JudgingModel()
    served = evaluating(tmp_path, model)
    async with working(served.service, kinds=ALL):
        execution_id = await ask(served)
        first = await evaluated(served, execution_id)
        asked = len(model.requests)
        _, again = await recompute(MINE, execution_id, served.service, timeout_seconds=10)
        assert len(model.requests) == asked
        assert again.revision == first.revision + 1
        assert (again.judge_metrics, again.calls) == (first.judge_metrics, first.calls)
        references = ["It says alpha"]
        _, scored = await recompute(
            MINE, execution_id, served.service, reference_answers=references, timeout_seconds=10
        )
        assert scored.reference_scores["answerer"]["exact_match"] == 1
        assert len(model.requests) == asked
        _, renewed = await recompute(
            MINE, execution_id, served.service, renew_baseline=True, timeout_seconds=10
        )
        assert len(model.asked("baseline")) == 2
        assert renewed.reference_scores == scored.reference_scores
    run, record = await evaluation_of(MINE, execution_id, served.service)
    assert differences(evaluation_of_run(run, record)) == []


async def test_one_asked_for_while_the_last_is_ended_is_made(tmp_path: Path) -> None:
    class Late(MemoryWork):
        """Somebody asks for it again in the last moment of the evaluation's item, once."""

        asked = False

        async def done(self, item: WorkItem, owner: str) -> None:
            if item.kind == WorkKind.EVALUATION and not self.asked:
                self.asked = True
                await recompute(MINE, item.item_id, served.service)
            await super().done(item, owner)

    served = evaluating(tmp_path, JudgingModel())
    served.service = replace(served.service, work=Late())
    async with working(served.service, kinds=ALL):
        execution_id = await ask(served)

        async def is_made_again() -> bool:
            found = await served.service.evaluations.get_evaluation(MINE, execution_id)
            return found is not None and (found.revision, found.status) == (2, EvaluationStatus.COMPLETED)

        await until(is_made_again)


async def test_one_can_be_asked_for_where_none_was_made(tmp_path: Path) -> None:
    served = evaluating(tmp_path, JudgingModel(), evaluate_all=False)
    async with working(served.service, kinds=ALL):
        execution_id = await ask(served)
        await wait(MINE, execution_id, 10, served.service)
        _, record = await recompute(MINE, execution_id, served.service, timeout_seconds=10)
    assert record.status == EvaluationStatus.COMPLETED


async def test_without_a_worker_the_record_waits(tmp_path: Path) -> None:
    served = evaluating(tmp_path, JudgingModel(), evaluate_all=False)
    async with working(served.service):
        execution_id = await ask(served)
        await wait(MINE, execution_id, 10, served.service)
    _, record = await recompute(MINE, execution_id, served.service)
    assert record.status == EvaluationStatus.RUNNING
    assert await served.service.work.waiting(WorkKind.EVALUATION) == 1


async def test_only_answers_of_a_root_model_are_evaluated(tmp_path: Path) -> None:
    served = evaluating(tmp_path, JudgingModel(root="No code, ever."))
    view = await served.session("alpha")
    runtime = await create_runtime(MINE, view.session.session_id, NewRuntime(), served.service)
    async with working(served.service, kinds=ALL):
        contexts = await ask(served, output_mode="CONTEXTS")
        failed = await ask(served)
        for execution_id in (contexts, failed):
            await wait(MINE, execution_id, 10, served.service)
    for execution_id in (runtime.execution.execution_id, contexts, failed):
        with pytest.raises(ValidationFailed):
            await recompute(MINE, execution_id, served.service)
    assert await served.service.work.waiting(WorkKind.EVALUATION) == 0


async def test_the_trace_has_it_however_late_it_comes(tmp_path: Path) -> None:
    served = evaluating(tmp_path, JudgingModel())
    record = await evaluation(served)
    trace = await evaluated_trace(MINE, record.execution_id, served.service)
    assert trace["evaluation"]["judge_metrics"]["answerer"]["faithfulness"] == 0.75
    assert trace["evaluation"]["answer"] == "It says alpha"
    hidden = await evaluated_trace(MINE, record.execution_id, served.service, redact=True)
    assert hidden["evaluation"]["judge_metrics"] == trace["evaluation"]["judge_metrics"]
    assert "alpha" not in str(hidden)


async def test_a_removed_session_takes_its_evaluations_along(tmp_path: Path) -> None:
    served = evaluating(tmp_path, JudgingModel())
    async with working(served.service, kinds=ALL):
        execution_id = await ask(served)
        record = await evaluated(served, execution_id)
        await delete_session(MINE, record.session_id, served.service)
        await until(gone(served, record.session_id))
        await until(lambda: nothing(served))
    assert await served.service.evaluations.get_evaluation(MINE, execution_id) is None
    with pytest.raises(ExecutionNotFound):
        await evaluation_of(MINE, execution_id, served.service)


def gone(served: Serving, session_id: str) -> Callable[[], Awaitable[bool]]:
    async def is_gone() -> bool:
        return await served.service.ports.catalog.get_session(MINE, session_id) is None

    return is_gone


async def nothing(served: Serving) -> bool:
    return await served.stored() == []
