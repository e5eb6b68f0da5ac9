"""`rlm ask`: answer a question over files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rlm_rs.cli.options import output_options, shared, shared_options

if TYPE_CHECKING:
    from rlm_rs.cli.asking import Request


def _budget_options(command: Any) -> Any:
    for name, field, kind, metavar, text in (
        ("--max-depth", "max_depth", int, "N", "Levels of child executions, at most."),
        ("--max-subcalls", "max_llm_subcalls", int, "N", "Calls of the sub model, at most."),
        ("--max-tokens", "max_total_tokens", int, "N", "Tokens in and out, at most."),
        ("--max-cost", "max_cost_usd", float, "USD", "Cost, at most."),
        ("--timeout", "max_total_seconds", float, "SECONDS", "Time of work, at most."),
        ("--max-turns", "max_turns", int, "N", "Turns of the root model, at most."),
    ):
        command = click.option(name, field, type=kind, metavar=metavar, help=text)(command)
    return command


@click.command("ask", short_help="Answer a question over files, with citations.")
@click.argument("question")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@output_options
@click.option("--contexts", is_flag=True, help="Give the passages found in place of an answer.")
@click.option("--root-model", metavar="NAME", help="The model that writes the steps.")
@click.option("--sub-model", metavar="NAME", help="The model that sub-calls go to.")
@_budget_options
@click.option(
    "--budget", "named", metavar="NAME=VALUE", multiple=True, help="Any budget by its name; may be repeated."
)
@click.option(
    "--context-shape",
    type=click.Choice(["documents", "text"]),
    default="documents",
    show_default=True,
    help="What `context` is to the steps: documents, or their text.",
)
@click.option(
    "--html", type=click.Path(dir_okay=False), metavar="FILE", help="Write a self-contained report, too."
)
@click.option("--fresh", is_flag=True, help="Parse the files again even if they are known.")
@click.option("--dry-run", is_flag=True, help="Parse, then show what would be asked; call no model.")
@shared_options
@click.pass_context
def command(ctx: click.Context, /, named: tuple[str, ...], **options: Any) -> int:
    """Answer QUESTION over the files, folders, globs and archives in PATH... (- is standard input).

    The answer and its numbered citations go to standard output, progress to standard error.

    \b
    Exit codes: 0 answered, 1 failed, 2 wrong usage or input, 3 a budget ran out and the
    answer is partial, 130 interrupted (the command that resumes is printed).
    """
    from rlm_rs.cli.asking import ask

    return ask(_request(named, **options), shared(ctx))


def _request(named: tuple[str, ...], **options: Any) -> Request:
    from rlm_rs.cli.asking import Request
    from rlm_rs.core.budget import Budgets

    given = {name: options.pop(name, None) for name in Budgets.__slots__}
    budgets = {name: value for name, value in given.items() if value is not None}
    return Request(budgets={**budgets, **dict(_budget(text) for text in named)}, **options)


def _budget(text: str) -> tuple[str, int | float]:
    name, equals, value = text.partition("=")
    for kind in (int, float):
        try:
            return name.strip(), kind(value)
        except ValueError:
            continue
    expected = "a number" if equals else "NAME=VALUE"
    raise click.BadParameter(f"{text!r}: expected {expected}, such as max_turns=10.", param_hint="--budget")
