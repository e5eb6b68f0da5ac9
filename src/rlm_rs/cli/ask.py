"""`rlm ask`: answer a question over files."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import click

from rlm_rs.cli.options import output_options, server_option, shared, shared_options

if TYPE_CHECKING:
    from rlm_rs.cli.asking import Request

F = TypeVar("F", bound=Callable[..., Any])


BUDGETS: tuple[tuple[str, str, type, str, str], ...] = (
    ("--max-depth", "max_depth", int, "N", "Levels of child executions, at most."),
    ("--max-subcalls", "max_llm_subcalls", int, "N", "Calls of the sub model, at most."),
    ("--max-tokens", "max_total_tokens", int, "N", "Tokens in and out, at most."),
    ("--max-cost", "max_cost_usd", float, "USD", "Cost, at most."),
    ("--timeout", "max_total_seconds", float, "SECONDS", "Time of work, at most."),
    ("--max-turns", "max_turns", int, "N", "Turns of the root model, at most."),
)
"""Option, budget, kind of value, its name, help."""


def budget_options(leave_out: Collection[str] = ()) -> Callable[[F], F]:
    """An option for each budget that is often given, and --budget for any."""

    def add(command: F) -> F:
        command = click.option(
            "--budget",
            "named",
            metavar="NAME=VALUE",
            multiple=True,
            help="Any budget by its name; may be repeated.",
        )(command)
        for name, field, kind, metavar, text in BUDGETS:
            if field not in leave_out:
                command = click.option(name, field, type=kind, metavar=metavar, help=text)(command)
        return command

    return add


def budgets_of(options: dict[str, Any], named: tuple[str, ...]) -> dict[str, int | float]:
    """The budgets that were given, taken out of the options."""
    from rlm_rs.core.budget import Budgets

    given = {name: options.pop(name, None) for name in Budgets.__slots__}
    budgets = {name: value for name, value in given.items() if value is not None}
    return {**budgets, **dict(_budget(text) for text in named)}


@click.command("ask", short_help="Answer a question over files, with citations.")
@click.argument("question")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@output_options
@click.option("--contexts", is_flag=True, help="Give the passages found in place of an answer.")
@click.option(
    "--continue",
    "continue_from",
    metavar="ID",
    help="Follow up an earlier execution, over its documents; PATH is then left out.",
)
@click.option(
    "--schema",
    type=click.File("rb"),
    metavar="FILE",
    help="JSON Schema that the answer must satisfy; it is then JSON.",
)
@click.option("--root-model", metavar="NAME", help="The model that writes the steps.")
@click.option("--sub-model", metavar="NAME", help="The model that sub-calls go to.")
@budget_options()
@click.option(
    "--context-shape",
    type=click.Choice(["documents", "text"]),
    default="documents",
    show_default=True,
    help="What `context` is to the steps: documents, or their text.",
)
@click.option(
    "--search/--no-search",
    default=None,
    help="Index the files for search by words first, or do without; by default when a step first searches.",
)
@click.option(
    "--html", type=click.Path(dir_okay=False), metavar="FILE", help="Write a self-contained report, too."
)
@click.option("--fresh", is_flag=True, help="Parse the files again even if they are known.")
@click.option("--dry-run", is_flag=True, help="Parse, then show what would be asked; call no model.")
@server_option
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

    if bool(options["paths"]) == (options["continue_from"] is not None):
        raise click.UsageError(
            "Name the files to ask about, PATH..., or an execution to follow up, --continue ID.", ctx
        )
    return ask(_request(named, **options), shared(ctx))


def _request(named: tuple[str, ...], schema: BinaryIO | None, **options: Any) -> Request:
    from rlm_rs.cli.asking import Request

    budgets = budgets_of(options, named)
    return Request(budgets=budgets, output_schema=_schema(schema) if schema else None, **options)


def _schema(file: BinaryIO) -> dict[str, Any]:
    try:
        value = json.loads(file.read())
    except ValueError as error:
        raise click.BadParameter(f"{file.name} is not JSON ({error}).", param_hint="--schema") from None
    except RecursionError:
        raise click.BadParameter(f"{file.name} is nested too deep.", param_hint="--schema") from None
    if not isinstance(value, dict):
        raise click.BadParameter(f"{file.name} is no JSON object.", param_hint="--schema")
    return value


def _budget(text: str) -> tuple[str, int | float]:
    name, equals, value = text.partition("=")
    for kind in (int, float):
        try:
            return name.strip(), kind(value)
        except ValueError:
            continue
    expected = "a number" if equals else "NAME=VALUE"
    raise click.BadParameter(f"{text!r}: expected {expected}, such as max_turns=10.", param_hint="--budget")
