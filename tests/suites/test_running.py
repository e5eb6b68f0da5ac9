"""Suites run from end to end: what is known scores 1, errors cost, a killed run pays for nothing twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rlm_rs.core.errors import ProviderFailed, RlmError
from rlm_rs.library import RLM
from rlm_rs.settings import load_settings
from rlm_rs.suites.answering import LibraryAnswering
from rlm_rs.suites.harness import DIRECT, Variant, run_suite, variants_of
from rlm_rs.suites.oracle import Oracle, OracleModel
from rlm_rs.suites.report import write_report
from rlm_rs.suites.results import RESULTS_FILE, Results
from rlm_rs.suites.suite import Case
from rlm_rs.testing.openai_script import Prompt, ServedReply
from rlm_rs.testing.openai_server import OpenAITestServer

DEPTHS = ("rlm-depth-0", "rlm-depth-1")
WINDOWS = '{"oracle-root": 20000}'


async def ran(
    folder: Path, cases: tuple[Case, ...], model: OracleModel, variants: tuple[Variant, ...]
) -> tuple[Results, int]:
    settings = load_settings(rlm_data_dir=folder / "data", model_context_windows_json=WINDOWS)
    results = Results.of(folder / "out")
    async with RLM(provider=model, settings=settings) as rlm:
        answering = LibraryAnswering({variant.name: rlm for variant in variants}, folder / "out")
        missing = await run_suite(cases, variants, answering, results)
    return results, missing


async def test_an_oracle_scores_one_in_every_kind_at_every_depth(
    cases: tuple[Case, ...], tmp_path: Path
) -> None:
    results, missing = await ran(tmp_path, cases, OracleModel(cases), variants_of([0, 1], direct=True))
    assert missing == 0
    assert len(results.done) == 3 * len(cases)
    counted = [found for found in results.done.values() if not found.outcome.skipped]
    assert [(found.case_id, found.variant) for found in counted if found.score < 1] == []
    ours = [found for found in counted if found.variant != "direct"]
    assert {(found.citations.precision, found.citations.recall) for found in ours} == {(1.0, 1.0)}
    # 60,000 characters and room for the answer are more than 20,000 tokens hold only for some
    assert any(found.variant == "direct" for found in counted)


async def test_a_sub_model_that_errs_scores_lower(cases: tuple[Case, ...], tmp_path: Path) -> None:
    results, _ = await ran(
        tmp_path, cases, OracleModel(cases, error_rate=0.1), variants_of([1], direct=False)
    )
    scores = [found.score for found in results.done.values()]
    assert 0 < sum(scores) / len(scores) < 1


async def test_a_corpus_that_does_not_fit_the_window_is_skipped(
    cases: tuple[Case, ...], tmp_path: Path
) -> None:
    settings = load_settings(
        rlm_data_dir=tmp_path / "data", model_context_windows_json='{"oracle-root": 5000}'
    )
    results = Results.of(tmp_path / "out")
    async with RLM(provider=OracleModel(cases), settings=settings) as rlm:
        answering = LibraryAnswering({DIRECT: rlm}, tmp_path / "out")
        assert await run_suite(cases, variants_of([], direct=True), answering, results) == 0
    assert {found.outcome.skipped for found in results.done.values()} == {"CONTEXT_WINDOW_EXCEEDED"}


async def test_the_reports_name_every_case_that_fell_short(cases: tuple[Case, ...], tmp_path: Path) -> None:
    results, _ = await ran(
        tmp_path, cases, OracleModel(cases, error_rate=0.5), variants_of([1], direct=False)
    )
    hostile = {"suite": "<script>alert(1)</script> | `x`"}
    markdown, html = write_report(tmp_path, list(results.done.values()), hostile)
    low = min(results.done.values(), key=lambda found: found.score)
    assert low.case_id.replace("-", "") in markdown.read_text().replace("-", "")
    page = html.read_text()
    assert "<svg" in page
    assert "<script" not in page
    assert "![" not in page


async def test_a_line_cut_short_by_a_crash_does_not_count(cases: tuple[Case, ...], tmp_path: Path) -> None:
    results, _ = await ran(tmp_path, cases[:2], OracleModel(cases), variants_of([0], direct=False))
    place = tmp_path / "out" / RESULTS_FILE
    place.write_bytes(place.read_bytes() + b'{"case_id": "half')
    again = Results.of(tmp_path / "out")
    assert again.done.keys() == results.done.keys()
    again.record_begun("next", "x", "exec_1")
    assert Results.of(tmp_path / "out").begun["next", "x"] == "exec_1"


def test_an_error_that_may_pass_is_no_result(cases: tuple[Case, ...], tmp_path: Path) -> None:
    told: list[RlmError | object] = []

    class Unreachable:
        async def answer(self, *_: object) -> object:
            raise ProviderFailed("gone", kind="unavailable", status=503, attempts=1, retryable=True)

    results = Results.of(tmp_path)
    missing = asyncio.run(
        run_suite(
            cases[:3],
            variants_of([1], direct=False),
            Unreachable(),  # type: ignore[arg-type]
            results,
            told=lambda _case, _variant, ended: told.append(ended),
        )
    )
    assert (missing, len(told), results.done) == (3, 3, {})


def test_no_way_of_answering_rides_on_what_another_paid(suite: Path, tmp_path: Path) -> None:
    arguments = [str(suite), "--oracle", "--no-direct", "--data-dir", str(tmp_path / "data")]
    tokens = []
    for name in ("one", "two"):
        command = [sys.executable, "-m", "rlm_rs", "eval", "run", *arguments, "--out", str(tmp_path / name)]
        done = subprocess.run([*command, "--depth", "0", "--depth", "1"], capture_output=True, check=True)
        assert b"Reports:" in done.stderr
        found = Results.of(tmp_path / name).done
        tokens += [sum(r.outcome.input_tokens for r in found.values() if r.variant == v) for v in DEPTHS]
    assert len(tokens) == 4
    assert len(set(tokens)) == 1


def recorded_calls(data: Path) -> set[str]:
    """The last message of every call whose reply was recorded."""
    records = [json.loads(path.read_text()) for path in data.rglob("cache/**/llm/*.json")]
    return {record["request"]["messages"][-1]["content"] for record in records}


@pytest.mark.timeout(120)
async def test_a_killed_run_goes_on_and_repeats_no_recorded_call(
    suite: Path, cases: tuple[Case, ...], tmp_path: Path
) -> None:
    oracle, asked = Oracle(cases, 0.0, 0), list[str]()

    def answered(prompt: Prompt) -> ServedReply:
        asked.append(prompt.last)
        return ServedReply(oracle.reply([text for _, text in prompt.messages]), latency=0.01)

    async with OpenAITestServer(answered) as server:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "OPENAI_API_KEY": "any",
            "OPENAI_BASE_URL": server.base_url,
        }
        command = [sys.executable, "-m", "rlm_rs", "eval", "run", str(suite), "--out", str(tmp_path / "out")]
        command += ["--data-dir", str(tmp_path / "data"), "--root-model", "gpt-5", "--no-direct"]

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        first = start()
        results = tmp_path / "out" / RESULTS_FILE
        while first.poll() is None and not (results.exists() and results.read_text().count('"score"') >= 4):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        first.send_signal(signal.SIGKILL)
        await asyncio.to_thread(first.communicate)
        assert first.returncode == -signal.SIGKILL
        recorded, asked_before = recorded_calls(tmp_path / "data"), len(asked)
        second = start()
        out, err = await asyncio.to_thread(second.communicate)
        assert second.returncode == 0, err.decode()
    assert recorded
    assert [text for text in asked[asked_before:] if text in recorded] == []
    done = Results.of(tmp_path / "out").done
    assert len(done) == len(cases)
    assert {found.score for found in done.values()} == {1.0}
    assert b"| rlm-depth-1 | 20 | 0 | 0 | 1.000" in out
