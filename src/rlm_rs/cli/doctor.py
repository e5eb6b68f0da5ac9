"""`rlm doctor`: check that everything needed works here."""

from __future__ import annotations

import click

from rlm_rs.cli.options import here_alone, shared_options


@click.command("doctor", short_help="Check that everything needed works here.")
@click.option("--online", is_flag=True, help="Also ask the provider for one tiny completion.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object in place of lines.")
@shared_options
@click.pass_context
def command(ctx: click.Context, online: bool, as_json: bool) -> int:
    """Check Python, the settings, storage, the sandbox from inside, the parser and the models.

    One line a check, and below a failure what to do. Exit code 1 if a check fails.
    """
    from rlm_rs.cli.checks import collected, summed_up
    from rlm_rs.cli.running import run
    from rlm_rs.health import check_health

    checks = check_health(here_alone(ctx).data_dir, online=online)
    return summed_up(run(collected(checks, told=not as_json)), as_json=as_json)
