"""`rlm eval`: suites of questions with known answers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from rlm_rs.cli.ask import budget_options, budgets_of
from rlm_rs.cli.options import shared, shared_options

KINDS = ("needle", "aggregation", "pairwise", "multihop", "code")
FACTORS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}


class Characters(click.ParamType[int]):
    """A number of characters, such as 5000, 100k, 2M."""

    name = "characters"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number."""
        found = re.fullmatch(r"(\d+)([kmg]?)", str(value).lower())
        if not found or int(found[1]) == 0:
            self.fail(f"{value!r}: expected a number of characters, such as 5000, 100k or 2M.", param, ctx)
        return int(found[1]) * FACTORS[found[2]]


@click.group("eval", short_help="Make and run suites of questions with known answers.")
@shared_options
def command() -> None:
    """Make suites of questions with known answers, run them, and report what came of it."""


@command.command("make", short_help="Write a suite.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Kind of question; by default all."
)
@click.option(
    "--length",
    "lengths",
    multiple=True,
    type=Characters(),
    default=("10k",),
    show_default=True,
    help="Characters of a corpus; may be repeated.",
)
@click.option(
    "--cases", type=click.IntRange(1), default=5, show_default=True, help="Of each kind and length."
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed writes the same suite.")
@click.option(
    "--from", "source", multiple=True, metavar="PATH", help="Files whose paragraphs the facts are hidden in."
)
@shared_options
@click.pass_context
def make_command(
    ctx: click.Context,
    folder: Path,
    kinds: tuple[str, ...],
    lengths: tuple[int, ...],
    cases: int,
    seed: int,
    source: tuple[str, ...],
) -> int:
    """Write a suite and its corpora to the new folder DIR; the suite's file is printed.

    \b
    needle       one fact among facts like it
    aggregation  how many entries of a log are about something (as in OOLONG)
    pairwise     which pairs of users both wrote about something
    multihop     a chain of three facts in different places
    code         which functions call another
    """
    from rlm_rs.cli.evaluating import make

    return make(folder, kinds or KINDS, lengths, cases, seed, source, shared(ctx))


@command.command("run", short_help="Run a suite, or go on with a run.")
@click.argument("suite", metavar="SUITE", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Where the results go."
)
@click.option(
    "--depth",
    "depths",
    multiple=True,
    type=click.IntRange(0),
    default=(1,),
    show_default=True,
    help="Levels of child executions; may be repeated to compare.",
)
@click.option(
    "--direct/--no-direct",
    default=True,
    show_default=True,
    help="The whole text in the root model's window too.",
)
@click.option(
    "--concurrency", type=click.IntRange(1, 256), default=4, show_default=True, help="Cases at once."
)
@click.option("--root-model", metavar="NAME", help="The model that writes the steps.")
@click.option("--sub-model", metavar="NAME", help="The model that sub-calls go to.")
@click.option(
    "--oracle", is_flag=True, help="No model: a script that knows the answers of a generated suite."
)
@click.option(
    "--error-rate",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Share of what the oracle says that is wrong.",
)
@budget_options(leave_out=("max_depth",))
@shared_options
@click.pass_context
def run_command(ctx: click.Context, /, named: tuple[str, ...], **options: Any) -> int:
    """Run SUITE (a folder of `rlm eval make`, or a JSON Lines file) and write report.md and report.html.

    The same command goes on with a run that was interrupted and pays for nothing twice.

    \b
    Exit codes: 0 every case has a result, 1 some could not be brought to an end, 2 wrong usage or
    input, 130 interrupted.
    """
    from rlm_rs.cli.evaluating import SuiteRequest, evaluate

    budgets = budgets_of(options, named)
    depths = tuple(dict.fromkeys(options.pop("depths")))
    return evaluate(SuiteRequest(budgets=budgets, depths=depths, **options), shared(ctx))


@command.command("report", short_help="Write the report of a run anew.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@shared_options
def report_command(folder: Path) -> int:
    """Write report.md and report.html of the results in DIR, and show the first table."""
    from rlm_rs.cli.evaluating import report

    return report(folder)
