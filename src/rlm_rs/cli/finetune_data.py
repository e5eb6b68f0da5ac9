"""`rlm finetune build` and `rlm finetune evaluate`: what needs nothing but a file of traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from rlm_rs.cli.options import shared_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from rlm_rs.finetune.build import Built, Choices, Dataset
    from rlm_rs.finetune.rewards import Weights

F = TypeVar("F", bound="Callable[..., Any]")

TRACES = click.Path(exists=True, dir_okay=False)
QUALITIES = ("judge", "exact_match", "contains", "f1", "numeric", "numeric_closeness")
PENALTIES = {
    "turn": (0.02, "for each turn"),
    "subcall": (0.03, "for each sub-call"),
    "span": (0.005, "for 1,000 characters read"),
    "scan": (0.01, "for 1,000 characters searched"),
    "search": (0.02, "for each search"),
}
"""What is taken off the quality of an execution: option, default, meaning."""


def _penalties(command: F) -> F:
    for name, (default, what) in reversed(PENALTIES.items()):
        option = click.option(
            f"--{name}-penalty", type=float, default=default, show_default=True, help=f"Taken off {what}."
        )
        command = option(command)
    return command


def _weights(chosen: dict[str, Any]) -> Weights:
    from rlm_rs.finetune.rewards import Weights

    return Weights(**{name: chosen.pop(f"{name}_penalty") for name in PENALTIES})


@click.command("build", short_help="Build datasets from traces.")
@click.option("--input", "traces", required=True, type=TRACES, metavar="FILE", help="Traces as JSON lines.")
@click.option("--output", metavar="DIR", help="A folder for both datasets, their splits, and a card.")
@click.option("--sft-output", metavar="FILE", help="SFT rows alone, not split.")
@click.option("--pref-output", metavar="FILE", help="Preference pairs alone, not split.")
@click.option(
    "--format",
    "form",
    type=click.Choice(("chat", "completion", "seed")),
    default="chat",
    show_default=True,
    help="SFT rows: chat is messages; completion is prompt and completion, to learn the code alone; seed is "
    "input and output as texts.",
)
@click.option("--min-faithfulness", type=float, metavar="X", help="SFT only from answers judged at least so.")
@click.option("--min-relevancy", type=float, metavar="X", help="The same for answer relevancy.")
@click.option(
    "--quality",
    type=click.Choice(QUALITIES),
    default="judge",
    show_default=True,
    help="What pairs are ranked by: the judge's mean, or a score against reference answers.",
)
@_penalties
@click.option("--include-failed", is_flag=True, help="SFT also from steps and executions that failed.")
@click.option("--whole-replies", is_flag=True, help="SFT also on the words around the code.")
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Longest row, by estimate.")
@click.option(
    "--test-share",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of sessions kept for testing, with --output.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another number splits otherwise.")
@shared_options
def build(
    traces: str, output: str | None, sft_output: str | None, pref_output: str | None, **chosen: Any
) -> int:
    """Build SFT rows, one for each turn that worked, and preference pairs, one for each question.

    A pair is the best and the worst execution of one question by reward: quality less penalties. What was
    left out, and why, is told and stands in the card.
    """
    from pathlib import Path

    from rlm_rs.cli.amounts import count
    from rlm_rs.cli.streams import tell
    from rlm_rs.finetune.build import Choices
    from rlm_rs.finetune.build import build as built_from

    if (output is None) == (sft_output is None and pref_output is None):
        raise click.UsageError("Say where to: --output DIR, or --sft-output and --pref-output.")
    choices = Choices(weights=_weights(chosen), **chosen)
    sft, preferences = _places(output, sft_output, pref_output, choices)
    built = built_from(Path(traces), sft, preferences, choices)
    if output is not None:
        _write_card(Path(output), built, choices)
    tell(f"{count(built.executions, 'execution')} read.")
    for name, dataset, wanted in (
        ("SFT rows", built.sft, sft),
        ("preference pairs", built.preferences, preferences),
    ):
        if wanted:
            tell("\n".join(_told(name, dataset)))
    return 0 if built.sft.rows.total() or built.preferences.rows.total() else 1


def _places(
    output: str | None, sft: str | None, preferences: str | None, choices: Choices
) -> tuple[Mapping[str, Path], Mapping[str, Path]]:
    from pathlib import Path

    from rlm_rs.finetune.build import TRAIN
    from rlm_rs.finetune.card import NAMES, places

    if output is not None:
        folders = [places(Path(output), name, choices) for name in NAMES]
        return folders[0], folders[1]
    return {TRAIN: Path(sft)} if sft else {}, {TRAIN: Path(preferences)} if preferences else {}


def _write_card(folder: Path, built: Built, choices: Choices) -> None:
    from rlm_rs.finetune.card import card

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(card(built, choices), encoding="utf-8")


def _told(name: str, dataset: Dataset) -> list[str]:
    splits = ", ".join(f"{count} {side}" for side, count in sorted(dataset.rows.items()))
    tokens = dataset.tokens.total()
    lines = [f"{dataset.rows.total()} {name} ({splits}; about {tokens:,} tokens)" if splits else f"0 {name}"]
    return [*lines, *(f"  left out: {n} ({why})" for why, n in sorted(dataset.skipped.items()) if n)]


@click.command("evaluate", short_help="Means of quality, effort and cost.")
@click.option("--input", "traces", required=True, type=TRACES, metavar="FILE", help="Traces as JSON lines.")
@click.option("--status", metavar="STATUS", help="Only executions that ended so.")
@click.option("--output", metavar="FILE", help="Where to, in place of standard output.")
@_penalties
@shared_options
def evaluate(traces: str, status: str | None, output: str | None, **chosen: Any) -> int:
    """Report a policy as JSON: means over the executions of a file of traces, and by root model.

    Every mean says over how many executions it is. No model is asked.
    """
    import json
    from pathlib import Path

    from rlm_rs.cli.amounts import count
    from rlm_rs.cli.streams import say_json, tell
    from rlm_rs.finetune.evaluate import evaluate as evaluated
    from rlm_rs.finetune.export import read_traces

    report = evaluated((trace for _, trace in read_traces(Path(traces))), status, _weights(chosen))
    if output is None:
        say_json(report)
    else:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        Path(output).write_text(f"{json.dumps(report, indent=2)}\n", encoding="utf-8")
        tell(f"{count(report['executions'], 'execution')} reported in {output}.")
    return 0 if report["executions"] else 1
