"""`rlm doctor`: check that everything needed works here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rlm_rs.cli.options import here_alone, shared_options

if TYPE_CHECKING:
    from rlm_rs.health import Health


@click.command("doctor", short_help="Check that everything needed works here.")
@click.option("--online", is_flag=True, help="Also ask the provider for one tiny completion.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object in place of lines.")
@shared_options
@click.pass_context
def command(ctx: click.Context, online: bool, as_json: bool) -> int:
    """Check Python, the settings, storage, the sandbox from inside, the parser and the models.

    One line a check, and below a failure what to do. Exit code 1 if a check fails.
    """
    from dataclasses import asdict

    from rlm_rs.cli.running import run
    from rlm_rs.cli.streams import say, say_json

    found = run(_examined(here_alone(ctx).data_dir, online, told=not as_json))
    failed = [check for check in found if not check.ok]
    if as_json:
        say_json({"ok": not failed, "checks": [asdict(check) for check in found]})
    else:
        say(
            f"\n{len(failed)} of {len(found)} checks failed."
            if failed
            else f"\nAll {len(found)} checks passed."
        )
    return 1 if failed else 0


async def _examined(data_dir: str | None, online: bool, *, told: bool) -> list[Health]:
    from rlm_rs.health import check_health

    found = []
    async for check in check_health(data_dir, online=online):
        found.append(check)
        if told:
            _say(check)
    return found


def _say(check: Health) -> None:
    from rlm_rs.cli.streams import one_line, say

    say(f"{'ok' if check.ok else 'FAILED':<8}{check.name}: {one_line(check.detail)}")
    if not check.ok and check.fix:
        say(f"        -> {check.fix}")
