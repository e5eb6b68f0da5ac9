"""`rlm deploy`: what the service needs on AWS."""

from __future__ import annotations

import click

from rlm_rs.cli.options import shared_options


@click.group("deploy", short_help="Check what the service needs on AWS, or create it.")
@shared_options
def command() -> None:
    """Check what the AWS profile needs in an account, or create it there.

    The settings name the account's parts: AWS_REGION, DDB_TABLE_PREFIX, S3_BUCKET.
    """


@command.command("check", short_help="Look whether everything is there.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object in place of lines.")
@shared_options
def check(as_json: bool) -> int:
    """Look at identity, clock, tables, indexes, bucket, queues, secrets and the function that runs steps.

    One line a check, and below a failure what to do. Exit code 1 if a check fails.
    """
    from rlm_rs.cli.checks import collected, summed_up
    from rlm_rs.cli.running import run
    from rlm_rs.deployment import check_deployment
    from rlm_rs.settings import load_settings

    found = run(collected(check_deployment(load_settings()), told=not as_json))
    return summed_up(found, as_json=as_json)


@command.command("create", short_help="Create tables, queues and bucket.")
@shared_options
def create() -> int:
    """Create the tables, queues and bucket that are missing: for an emulator, or a first try.

    What is there already is left as it is. For an account that matters, deploy the stack instead: it also has
    encryption, backups, alarms and roles.
    """
    from rlm_rs.cli.running import run
    from rlm_rs.cli.streams import say
    from rlm_rs.deployment import create_deployment
    from rlm_rs.settings import load_settings

    for name in run(create_deployment(load_settings())):
        say(f"ok      {name}")
    return 0
