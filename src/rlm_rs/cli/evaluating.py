"""What `rlm eval` does once its options are read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlm_rs.cli.amounts import cost, count, seconds
from rlm_rs.cli.options import Shared
from rlm_rs.cli.running import Interrupted, run
from rlm_rs.cli.streams import say, tell
from rlm_rs.core.errors import RlmError, ValidationFailed
from rlm_rs.core.ports import ModelProvider
from rlm_rs.library import RLM
from rlm_rs.settings import load_settings
from rlm_rs.suites.answering import LibraryAnswering, scope_of
from rlm_rs.suites.generating import generate_suite
from rlm_rs.suites.generating.haystack import paragraphs_of
from rlm_rs.suites.harness import Variant, run_suite, variants_of
from rlm_rs.suites.oracle import OracleModel
from rlm_rs.suites.report import table, write_report
from rlm_rs.suites.results import Result, Results
from rlm_rs.suites.suite import Case, read_suite
from rlm_rs.suites.summary import grouped

RUN_FILE = "run.json"
ORACLE_WINDOW = '{"oracle-root": 128000}'


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRequest:
    """Everything `rlm eval run` was told."""

    suite: Path
    out: Path
    depths: tuple[int, ...]
    direct: bool
    concurrency: int
    budgets: Mapping[str, Any] = field(default_factory=dict)
    root_model: str | None = None
    sub_model: str | None = None
    oracle: bool = False
    error_rate: float = 0.0


def make(
    folder: Path,
    kinds: Sequence[str],
    lengths: Sequence[int],
    cases: int,
    seed: int,
    source: Sequence[str],
    shared: Shared,
) -> int:
    """Write a suite; the exit code."""
    if folder.exists() and any(folder.iterdir()):
        raise ValidationFailed(reason=f"{folder} is not empty. Name a new folder for the suite.")
    paragraphs = run(_paragraphs(source, shared)) if source else []
    if source and not paragraphs:
        raise ValidationFailed(reason="No text was found to hide facts in. Name files that can be read.")
    place = generate_suite(
        folder, kinds=kinds, lengths=lengths, cases=cases, seed=seed, paragraphs=paragraphs
    )
    say(str(place))
    tell(f"{count(len(read_suite(place)), 'case')} written.")
    return 0


async def _paragraphs(source: Sequence[str], shared: Shared) -> list[str]:
    async with RLM(data_dir=shared.data_dir) as rlm:
        session = await rlm.asession(source)
        texts = [await session.atext(document) for document in session.documents if document.readable]
    return [paragraph for text in texts for paragraph in paragraphs_of(text)]


def evaluate(request: SuiteRequest, shared: Shared) -> int:
    """Run a suite and report; the exit code: 1 if a case could not be brought to a result."""
    cases = read_suite(request.suite)
    described = _describe(request)
    results = Results.of(request.out)
    _keep_to(request.out / RUN_FILE, described)
    total = len(cases) * len(variants_of(request.depths, request.direct))
    tell(f"{count(total, 'result')} to get, {len(results.done)} there already.")
    try:
        missing = run(_evaluated(request, cases, results, shared))
    except Interrupted:
        raise Interrupted("interrupted; the same command goes on, and pays for nothing twice.") from None
    report(request.out)
    if missing:
        tell(f"{count(missing, 'case')} could not be brought to an end; the same command tries them again.")
    return 1 if missing else 0


async def _evaluated(request: SuiteRequest, cases: Sequence[Case], results: Results, shared: Shared) -> int:
    variants = variants_of(request.depths, request.direct)
    async with AsyncExitStack() as open_rlms:
        rlms = {
            variant.name: await open_rlms.enter_async_context(_rlm(request, cases, variant, shared))
            for variant in variants
        }
        answering = LibraryAnswering(rlms, request.out, request.budgets)
        return await run_suite(
            cases, variants, answering, results, concurrency=request.concurrency, told=_tell_result
        )


def _rlm(request: SuiteRequest, cases: Sequence[Case], variant: Variant, shared: Shared) -> RLM:
    settings = load_settings(
        rlm_data_dir=Path(shared.data_dir) if shared.data_dir else None,
        rlm_cache_scope=scope_of(request.out, variant),
        model_context_windows_json=ORACLE_WINDOW if request.oracle else None,
    )
    return RLM(
        provider=_provider(request, cases),
        settings=settings,
        root_model=request.root_model,
        sub_model=request.sub_model,
    )


def _provider(request: SuiteRequest, cases: Sequence[Case]) -> ModelProvider | None:
    return OracleModel(cases, request.error_rate) if request.oracle else None


def _tell_result(case: Case, variant: Variant, ended: Result | RlmError) -> None:
    if isinstance(ended, RlmError):
        tell(f"{case.id}  {variant.name}  not finished: {ended.message}")
    elif ended.outcome.skipped:
        tell(f"{case.id}  {variant.name}  skipped: {ended.outcome.skipped}")
    else:
        outcome = ended.outcome
        spent = f"{seconds(outcome.seconds)} {cost(outcome.cost_usd)}".rstrip()
        tell(f"{case.id}  {variant.name}  {ended.score:.2f}  {outcome.status}  {spent}")


def report(folder: Path) -> int:
    """Write a folder's report anew and show its first table; the exit code."""
    results = list(Results.of(folder).done.values())
    if not results:
        raise ValidationFailed(reason=f"{folder} holds no results yet: `rlm eval run` puts them there.")
    run_place = folder / RUN_FILE
    described = json.loads(run_place.read_text(encoding="utf-8")) if run_place.exists() else {}
    results.sort(key=lambda result: (result.case_id, result.variant))
    places = write_report(folder, results, described)
    say(table(grouped(results, lambda result: result.variant)))
    tell(f"Reports: {places[0]} and {places[1]}")
    return 0


def _describe(request: SuiteRequest) -> dict[str, Any]:
    """What makes results comparable: another of these is another run."""
    models = (
        "oracle" if request.oracle else f"{request.root_model or 'default'}, {request.sub_model or 'default'}"
    )
    described: dict[str, Any] = {"suite": str(request.suite.resolve()), "models": models}
    if request.oracle:
        described["error rate"] = request.error_rate
    return {**described, "budgets": dict(request.budgets) or "default"}


def _keep_to(place: Path, described: Mapping[str, Any]) -> None:
    text = json.dumps(described, indent=1, sort_keys=True)
    if place.exists() and place.read_text(encoding="utf-8") != text:
        raise ValidationFailed(
            reason=f"{place.parent} holds results of another run (see {place.name}). Name another folder."
        )
    place.write_text(text, encoding="utf-8")
