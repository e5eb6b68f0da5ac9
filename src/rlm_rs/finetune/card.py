"""The dataset card: README.md with the front matter that `datasets.load_dataset(FOLDER, NAME)` reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rlm_rs.finetune.build import TEST, TRAIN, Built, Choices, Dataset
from rlm_rs.version import __version__

NAMES = ("sft", "preferences")


def places(folder: Path, name: str, choices: Choices) -> dict[str, Path]:
    """Where the splits of a dataset lie; no test split where none is wanted."""
    sides = (TRAIN, TEST) if choices.test_share > 0 else (TRAIN,)
    return {side: folder / "data" / f"{name}-{side}.jsonl" for side in sides}


def card(built: Built, choices: Choices) -> str:
    """The card of what was built."""
    return "\n".join([*_front_matter(built), "", *_body(built, choices), ""])


def _datasets(built: Built) -> dict[str, Dataset]:
    return {
        name: dataset
        for name, dataset in zip(NAMES, (built.sft, built.preferences), strict=True)
        if dataset.rows.total()
    }


def _front_matter(built: Built) -> Iterator[str]:
    yield from ("---", "pretty_name: RLM policy traces", "tags:", "- recursive-language-models", "- code")
    found = _datasets(built)
    if found:
        yield "configs:"
    for name, dataset in found.items():
        yield from (f"- config_name: {name}", "  data_files:")
        for side in dataset.rows:
            yield from (f"  - split: {side}", f"    path: data/{name}-{side}.jsonl")
    yield "---"


def _body(built: Built, choices: Choices) -> Iterator[str]:
    yield from (
        "# RLM policy traces",
        "",
        f"Built by rlm-rs {__version__} from the traces of {built.executions:,} executions.",
        "A root model reads a question and writes Python that a sandbox runs over documents it never sees;",
        "these rows teach it to.",
        "",
        "| dataset | split | rows | tokens (estimate) |",
        "| --- | --- | --- | --- |",
    )
    for name, dataset in _datasets(built).items():
        for side, count in dataset.rows.items():
            yield f"| {name} | {side} | {count:,} | {dataset.tokens[side]:,} |"
    yield from ("", "## What was left out", "")
    yield from _left_out("turns, from sft", built.sft.skipped)
    yield from _left_out("executions, from preferences", built.preferences.skipped)
    yield from ("", "## How it was built", "")
    for setting, value in asdict(choices).items():
        yield f"- {setting}: `{value}`"
    yield from _counted("root model", built.models)
    yield from _counted("root prompt version", built.prompt_versions)
    yield "- splits are by the documents of a session, which are never in both; tokens are estimates"


def _left_out(what: str, skipped: Counter[str]) -> Iterator[str]:
    for reason, count in sorted(skipped.items()):
        if count:
            yield f"- {what}: {count:,} ({reason})"


def _counted(what: str, counts: Counter[str]) -> Iterator[str]:
    for name, count in sorted(counts.items()):
        yield f"- {what} `{name}`: {count:,} turns"
