"""What every adapter of `core.ports.Evaluations` must do. Its tests are a subclass that opens one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from rlm_rs.core.ports import Evaluations
from rlm_rs.core.records import EvaluationCall, EvaluationRecord, EvaluationStatus

MINE, THEIRS = "tenant-a", "tenant-b"


def evaluation(execution_id: str = "exec_1", tenant: str = MINE, **changes: Any) -> EvaluationRecord:
    """An evaluation that has just been asked for."""
    return replace(EvaluationRecord(tenant, "sess_1", execution_id, "eval_1", 1e9, 1e9), **changes)


def whole() -> EvaluationRecord:
    """One with every field set."""
    return evaluation(
        updated_at=1e9 + 0.125,
        revision=3,
        status=EvaluationStatus.COMPLETED,
        renew_baseline=True,
        failure="none",
        baseline_status="COMPLETED",
        baseline_skip_reason="none",
        baseline_model="m",
        baseline_answer="ü" * 20_000,
        baseline_input_tokens=12,
        baseline_context_window=400_000,
        judge_model="j",
        judge_metrics={"answerer": {"faithfulness": 0.1 + 0.2, "answer_relevancy": None}, "baseline": {}},
        skip_reasons={"answerer": {"answer_relevancy": "JUDGE_REPLY_INVALID"}},
        judge_details={"answerer": {"faithfulness": {"claims": [{"claim": "", "supported": True}]}}},
        contexts_used="read",
        reference_answers=("six", ""),
        reference_scores={"answerer": {"f1": 1.0}},
        calls=(EvaluationCall("baseline", "m", "s3://b/c", True, 1, 2, None),),
    )


class EvaluationsContract:
    """The promises of `core.ports.Evaluations`. Subclasses provide the `evaluations` fixture, empty."""

    @pytest.fixture
    def evaluations(self) -> Evaluations:
        raise NotImplementedError("a subclass provides the evaluations")

    async def test_an_evaluation_comes_back_as_it_was_written(self, evaluations: Evaluations) -> None:
        assert await evaluations.put_evaluation(whole()) is True
        assert await evaluations.get_evaluation(MINE, "exec_1") == whole()

    async def test_nothing_is_none(self, evaluations: Evaluations) -> None:
        assert await evaluations.get_evaluation(MINE, "exec_1") is None

    async def test_the_same_and_a_higher_revision_replace_what_stands_there(
        self, evaluations: Evaluations
    ) -> None:
        for revision, failure in ((1, "a"), (1, "b"), (10, "c")):
            record = evaluation(revision=revision, failure=failure)
            assert await evaluations.put_evaluation(record) is True
            assert await evaluations.get_evaluation(MINE, "exec_1") == record

    async def test_a_lower_revision_is_refused(self, evaluations: Evaluations) -> None:
        await evaluations.put_evaluation(evaluation(revision=10))
        assert await evaluations.put_evaluation(evaluation(revision=9, failure="late")) is False
        assert await evaluations.get_evaluation(MINE, "exec_1") == evaluation(revision=10)

    async def test_of_those_written_at_once_the_highest_revision_stands(
        self, evaluations: Evaluations
    ) -> None:
        written = [evaluation(revision=number) for number in range(1, 9)]
        await asyncio.gather(*(evaluations.put_evaluation(one) for one in reversed(written)))
        assert await evaluations.get_evaluation(MINE, "exec_1") == written[-1]

    async def test_executions_and_tenants_do_not_touch_each_other(self, evaluations: Evaluations) -> None:
        records = [evaluation(), evaluation("exec_2"), evaluation(tenant=THEIRS, failure="theirs")]
        for record in records:
            await evaluations.put_evaluation(record)
        await evaluations.delete_evaluation(MINE, "exec_2")
        assert await evaluations.get_evaluation(MINE, "exec_1") == records[0]
        assert await evaluations.get_evaluation(MINE, "exec_2") is None
        assert await evaluations.get_evaluation(THEIRS, "exec_1") == records[2]

    async def test_removing_nothing_is_no_error_and_what_was_removed_begins_anew(
        self, evaluations: Evaluations
    ) -> None:
        await evaluations.put_evaluation(evaluation(revision=5))
        await evaluations.delete_evaluation(MINE, "exec_1")
        await evaluations.delete_evaluation(MINE, "exec_1")
        assert await evaluations.put_evaluation(evaluation()) is True
