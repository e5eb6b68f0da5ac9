"""`rlm show`: an execution as its journal has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rlm_rs.cli.options import Shared, server_option, shared, shared_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlm_rs.core.answers import Answer
    from rlm_rs.core.execution import Event

    Found = tuple[Answer, Sequence[tuple[int, Event]]]


@click.command("show", short_help="Show an execution: its answer, citations and turns.")
@click.argument("execution_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="The same JSON object as `rlm ask --json`.")
@click.option("--events", "as_events", is_flag=True, help="Its events as JSON lines.")
@server_option
@shared_options
@click.pass_context
def command(ctx: click.Context, execution_id: str, as_json: bool, as_events: bool) -> int:
    """Show the execution ID: question, turns, answer and citations, each recomputed now.

    The beginning of an ID is enough. With -v also the code and output of each step.
    """
    from rlm_rs.cli.following import say_event
    from rlm_rs.cli.running import run
    from rlm_rs.cli.streams import say_json

    answer, events = run(_found(execution_id, shared(ctx)))
    if as_events:
        for seq, event in events:
            say_event(answer.execution_id, seq, event)
    elif as_json:
        say_json(answer.to_dict())
    else:
        _say_all(answer, [event for _, event in events], shared(ctx))
    return 0


async def _found(start: str, options: Shared) -> Found:
    from rlm_rs.cli.engine import open_engine

    async with open_engine(options) as engine:
        execution_id = await engine.afind(start)
        return await engine.areport(execution_id), await engine.aevents(execution_id)


def _say_all(answer: Answer, events: Sequence[Event], options: Shared) -> None:
    from rlm_rs.cli.amounts import spent
    from rlm_rs.cli.answers import Form, say_answer
    from rlm_rs.cli.streams import one_line, say

    partial = ", partial" if answer.partial else ""
    say(f"question  {answer.question}")
    say(f"status    {answer.status}{partial} ({spent(answer.spend)})")
    say(f"id        {answer.execution_id}\n")
    _say_turns(answer.execution_id, events, options)
    if answer.text is not None or answer.contexts:
        say("")
        say_answer(answer, Form(whole=True))
    elif answer.error:
        say(f"\n{one_line(answer.error.message)}")
    if answer.status == "RUNNING":
        say(f"\nIt has not finished. To go on: {options.resume_command(answer.execution_id)}")


def _say_turns(execution_id: str, events: Sequence[Event], options: Shared) -> None:
    from rlm_rs.cli.narrator import Narrator
    from rlm_rs.cli.pages import PageScreen

    narrator = Narrator(PageScreen(), verbose=options.verbose)
    for seq, event in enumerate(events):
        if event.type != "Finished":
            narrator.heard(execution_id, seq, event)
