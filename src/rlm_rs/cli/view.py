"""`rlm view`: an execution in a browser, in the running server's page or as a report of its own."""

from __future__ import annotations

import click

from rlm_rs.cli.options import shared, shared_options


@click.command("view", short_help="Show an execution in a browser, or write it as one HTML file.")
@click.argument("execution_id", metavar="ID")
@click.option(
    "--html",
    "target",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help="Write a self-contained report; without FILE it is ID.html here, - is standard output.",
)
@click.option("--open", "opened", is_flag=True, help="Open it in a browser, too.")
@shared_options
@click.pass_context
def command(ctx: click.Context, execution_id: str, target: str | None, opened: bool) -> int:
    """Show the execution ID in a browser: the answer beside its sources, and every turn.

    Where `rlm serve` runs over the same data directory, a link into its page is printed, good once and for
    ten minutes. Otherwise a report is written: one HTML file that needs neither server nor network. The
    beginning of an ID is enough.
    """
    from rlm_rs.cli.reporting import view
    from rlm_rs.cli.running import run
    from rlm_rs.cli.streams import say

    shown = run(view(execution_id, target, shared(ctx).data_dir))
    say(shown)
    if opened and target != "-":
        click.launch(shown)
    return 0
