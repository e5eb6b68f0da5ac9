"""From forty executions of mixed quality to datasets: every row is what journal and model know of it."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import orjson
import pytest
from scripted_executions import POLICIES, QUESTIONS, STAMPED, TENANT, Recorded, Rlm

from rlm_rs.core.execution import Finished, RootReplied, StepRan, SubcallResolved
from rlm_rs.core.spans import is_scan
from rlm_rs.orchestrator.evaluating import evaluate, evaluation_of, request_evaluation
from rlm_rs.orchestrator.tracing.building import trace_checksum
from rlm_rs.sandbox.protocol import SpanEntry


def lines(place: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in place.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def dataset(rlm: Rlm, exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    rlm("finetune", "build", "--input", exported, "--output", folder, "--test-share", "0.5", "--seed", "3")
    return folder


def rows(dataset: Path, name: str) -> list[dict[str, Any]]:
    return [row for place in sorted(dataset.glob(f"data/{name}-*.jsonl")) for row in lines(place)]


def test_every_execution_is_exported_as_its_journal_has_it(recorded: Recorded, exported: Path) -> None:
    traces = {trace["execution"]["execution_id"]: trace for trace in lines(exported)}
    assert traces.keys() == set(recorded.ids)
    for execution_id, trace in traces.items():
        assert trace["checksum"] == trace_checksum(trace)
        events = recorded.events(execution_id)
        replies = [event for event in events if isinstance(event, RootReplied)]
        steps = {event.turn: event.result for event in events if isinstance(event, StepRan)}
        assert [turn["root_reply"] for turn in trace["turns"]] == [reply.text for reply in replies]
        assert [turn["repl_code"] for turn in trace["turns"]] == [reply.code for reply in replies]
        for turn in trace["turns"]:
            result = steps.get(turn["turn_index"])
            assert (turn["step"] and turn["step"]["stdout"]) == (result and result.stdout)
        end = events[-1]
        assert isinstance(end, Finished)
        assert (trace["execution"]["status"], trace["execution"]["answer"]) == (str(end.status), end.answer)


def worked(recorded: Recorded) -> list[tuple[str, int, list[dict[str, str]], str]]:
    """What SFT is to hold: each turn of a completed execution whose code ran without an error, once."""
    seen, found = set[bytes](), []
    for execution_id in recorded.ids:
        events = recorded.events(execution_id)
        end = events[-1]
        failed = {e.turn for e in events if isinstance(e, StepRan) and e.result.error}
        replies = [event for event in events if isinstance(event, RootReplied)]
        if not isinstance(end, Finished) or end.status != "COMPLETED":
            continue
        for reply, (request, said) in zip(replies, recorded.sent[execution_id], strict=True):
            if reply.code is None or reply.turn in failed:
                continue
            messages = [{"role": m.role, "content": m.content} for m in request.messages]
            assert reply.text == said
            content = orjson.dumps([messages, reply.code])
            if content not in seen:
                seen.add(content)
                found.append((execution_id, reply.turn, messages, reply.code))
    return found


def test_sft_rows_are_the_turns_that_worked_one_by_one(recorded: Recorded, dataset: Path) -> None:
    found = {
        (orjson.dumps(row["messages"][:-1]), row["messages"][-1]["content"]): row["metadata"]
        for row in rows(dataset, "sft")
    }
    expected = worked(recorded)
    assert len(expected) == len(found) == len(rows(dataset, "sft"))
    for _, turn, messages, code in expected:
        metadata = found[orjson.dumps(messages), f"```repl\n{code}\n```"]
        assert metadata["turn_index"] == turn
        assert metadata["tokens"] > sum(len(message["content"]) for message in messages) / 5


def independent_reward(recorded: Recorded, execution_id: str) -> float | None:
    """The reward from the journal and the script alone."""
    events = recorded.events(execution_id)
    end, read, scanned, calls = events[-1], 0, 0, 0
    if not isinstance(end, Finished) or end.status != "COMPLETED":
        return None
    for event in events:
        calls += isinstance(event, SubcallResolved)
        spans: tuple[SpanEntry, ...] = event.result.spans if isinstance(event, StepRan) else ()
        for span in spans:
            size = span.end_char - span.start_char
            read, scanned = (read, scanned + size) if is_scan(span) else (read + size, scanned)
    level = STAMPED.search(end.answer or "")
    turns = sum(isinstance(event, RootReplied) for event in events)
    quality = int(level[1]) / 4 if level else 0.0
    return quality - 0.02 * turns - 0.03 * calls - 0.005 * read / 1000 - 0.01 * scanned / 1000


def test_pairs_are_the_best_and_the_worst_of_each_question(recorded: Recorded, dataset: Path) -> None:
    rewards: dict[str, dict[str, float]] = defaultdict(dict)
    for number, execution_id in enumerate(recorded.ids):
        reward = independent_reward(recorded, execution_id)
        # what read nothing has no faithfulness, and so no quality
        if reward is not None and number % len(POLICIES) != 4:
            rewards[QUESTIONS[number // len(POLICIES)]][execution_id] = reward
    pairs = {row["metadata"]["question"]: row for row in rows(dataset, "preferences")}
    assert pairs.keys() == set(QUESTIONS)
    for question, pair in pairs.items():
        known, told = rewards[question], pair["metadata"]
        assert told["chosen_reward"] == pytest.approx(max(known.values()))
        assert told["rejected_reward"] == pytest.approx(min(known.values()))
        assert known[told["chosen_execution_id"]] == pytest.approx(max(known.values()))
        assert known[told["rejected_execution_id"]] == pytest.approx(min(known.values()))
        assert told["chosen_reward"] > told["rejected_reward"]
        request, _ = recorded.sent[told["chosen_execution_id"]][0]
        assert pair["prompt"] == [{"role": m.role, "content": m.content} for m in request.messages]
        assert pair["chosen"] == [{"role": "assistant", "content": POLICIES[0][0]}]
        assert pair["rejected"][0]["content"].count("```repl") == 2


def test_no_session_is_on_both_sides(dataset: Path) -> None:
    sides = {
        side: {row["metadata"]["session_id"] for row in lines(dataset / f"data/sft-{side}.jsonl")}
        for side in ("train", "test")
    }
    assert sides["train"]
    assert sides["test"]
    assert not sides["train"] & sides["test"]


def test_what_was_left_out_is_told_with_its_reason(rlm: Rlm, exported: Path, tmp_path: Path) -> None:
    told = rlm("finetune", "build", "--input", exported, "--output", tmp_path / "again").stderr
    assert "40 executions read." in told
    assert "left out: 5 (no code)" in told
    assert "left out: 5 (step failed)" in told
    assert re.search(r"left out: \d+ \(the same as another row\)", told)
    assert "left out: 10 (no quality score)" in told
    assert "left out: 20 (between best and worst)" in told
    card = (tmp_path / "again" / "README.md").read_text()
    assert "(no quality score)" in card


def test_the_same_traces_give_the_same_bytes(rlm: Rlm, exported: Path, dataset: Path, tmp_path: Path) -> None:
    rlm("finetune", "build", "--input", exported, "--output", tmp_path, "--test-share", "0.5", "--seed", "3")
    for place in dataset.rglob("*.*"):
        assert (tmp_path / place.relative_to(dataset)).read_bytes() == place.read_bytes()


def test_the_report_is_reproduced_from_the_traces_alone(rlm: Rlm, recorded: Recorded, exported: Path) -> None:
    report = orjson.loads(rlm("finetune", "evaluate", "--input", exported).stdout)
    assert report["executions"] == 40
    assert report["statuses"] == {"COMPLETED": 35, "MAX_TURNS_EXCEEDED": 5}
    known = [independent_reward(recorded, one) for n, one in enumerate(recorded.ids) if n % 8 != 4]
    rewards = [reward for reward in known if reward is not None]
    assert report["means"]["reward"] == {"mean": pytest.approx(sum(rewards) / len(rewards)), "n": 30}
    assert report["means"]["baseline_quality"] == {"mean": 0.5, "n": 35}
    assert report["against_baseline"] == {"better": 25, "equal": 0, "worse": 5}
    assert report["skip_reasons"] == {"answerer faithfulness: NO_CONTEXTS": 5}
    assert report["means"]["contains"]["n"] == 35
    shuffled = exported.with_name("reversed.jsonl")
    shuffled.write_bytes(b"".join(line + b"\n" for line in reversed(exported.read_bytes().splitlines())))
    assert orjson.loads(rlm("finetune", "evaluate", "--input", shuffled).stdout) == report


def test_recorded_figures_are_derived_again_without_a_model(
    rlm: Rlm, recorded: Recorded, exported: Path, tmp_path: Path
) -> None:
    done = rlm("finetune", "recompute", "--input", exported)
    assert "35 evaluations derived again, 0 not as recorded." in done.stderr
    forged = tmp_path / "forged.jsonl"
    text = exported.read_text().replace('"faithfulness":1.0', '"faithfulness":0.5', 1)
    forged.write_text(text)
    assert (
        "faithfulness: recorded 0.5, derived 1.0"
        in rlm("finetune", "recompute", "--input", forged, code=1).stdout
    )


def test_recomputing_an_execution_asks_nothing_that_was_paid(recorded: Recorded) -> None:
    asked, execution_id = len(recorded.model.requests), recorded.ids[0]
    _, before = recorded.wait(evaluation_of(TENANT, execution_id, recorded.service))
    recorded.wait(request_evaluation(TENANT, execution_id, recorded.service))
    after = recorded.wait(evaluate(TENANT, execution_id, recorded.service))
    assert after is not None
    assert after.judge_metrics == before.judge_metrics
    assert after.reference_scores == before.reference_scores
    assert after.revision == before.revision + 1
    assert len(recorded.model.requests) == asked
