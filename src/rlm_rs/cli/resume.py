"""`rlm resume`: go on with an execution that was interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rlm_rs.cli.options import output_options, server_option, shared, shared_options

if TYPE_CHECKING:
    from rlm_rs.cli.following import Following
    from rlm_rs.core.answers import Answer


@click.command("resume", short_help="Go on with an execution that was interrupted.")
@click.argument("execution_id", metavar="ID")
@output_options
@server_option
@shared_options
@click.pass_context
def command(ctx: click.Context, execution_id: str, quiet: bool, as_json: bool, jsonl: bool) -> int:
    """Go on with execution ID where it stopped; no model call that was recorded is paid again.

    The beginning of an ID is enough. Of an execution that has finished, the answer is shown.
    """
    from rlm_rs.cli.answers import Form
    from rlm_rs.cli.following import Following, interruptible
    from rlm_rs.cli.running import run
    from rlm_rs.cli.screen import open_screen

    options = shared(ctx)
    form = Form(quiet, as_json, jsonl, whole=options.verbose)
    following = Following(options, form, open_screen(quiet=quiet))
    with interruptible(following):
        answer = run(_resumed(execution_id, following))
    return following.conclude(answer)


async def _resumed(start: str, following: Following) -> Answer:
    from rlm_rs.cli.engine import open_engine

    async with open_engine(following.shared) as engine:
        execution_id = await engine.afind(start)
        events = [event for _, event in await engine.aevents(execution_id)]
        if events[-1].type != "Finished":
            following.narrator.catch_up(events)
            following.listen(engine)
        return await following.outcome(engine.aresume(execution_id))
