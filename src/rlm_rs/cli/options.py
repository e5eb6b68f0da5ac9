"""Options that several commands share, and the value they are kept in."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class Shared:
    """What was said before or after the command's name. data_dir and server are None unless given."""

    data_dir: str | None = None
    server: str | None = None
    verbose: bool = False

    def resume_command(self, execution_id: str) -> str:
        """The command line, as this program was called, that goes on with an execution."""
        return self.command("resume", execution_id)

    def command(self, *words: str) -> str:
        """A command line over the same data or server, as this program was called."""
        named = {"--data-dir": self.data_dir, "--server": self.server}
        place = [part for name, value in named.items() if value for part in (name, value)]
        return f"{program_name()} {shlex.join([*words, *place])}"


def program_name() -> str:
    """How this program was called: $RLM_COMMAND, set by wrappers, else from the process arguments."""
    if called := os.environ.get("RLM_COMMAND"):
        return called
    called_as = Path(sys.argv[0])
    as_module = called_as.name == "__main__.py" and called_as.parent.name in ("rlm_rs", "cli")
    return "python -m rlm_rs" if as_module else "rlm"


def shared(ctx: click.Context) -> Shared:
    """The shared options of the running command."""
    return ctx.ensure_object(Shared)


def _keep_data_dir(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        shared(ctx).data_dir = value


def _keep_server(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        shared(ctx).server = value


def _keep_verbose(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        shared(ctx).verbose = True


def shared_options(command: F) -> F:
    """--data-dir and --verbose, which may stand before and after the command's name."""
    for option in (
        click.option(
            "-v",
            "--verbose",
            is_flag=True,
            expose_value=False,
            callback=_keep_verbose,
            help="Tell more: the code and output of steps, the place of an error.",
        ),
        click.option(
            "--data-dir",
            metavar="DIR",
            expose_value=False,
            callback=_keep_data_dir,
            help="Where everything is kept (or set RLM_DATA_DIR).",
        ),
    ):
        command = option(command)
    return command


def server_option(command: F) -> F:
    """--server, for what a server can do in place of this process; it may stand on both sides too."""
    return click.option(
        "--server",
        metavar="URL",
        expose_value=False,
        callback=_keep_server,
        help="A server that does the work (or set RLM_BASE_URL); its key is in RLM_API_KEY.",
    )(command)


def here_alone(ctx: click.Context) -> Shared:
    """The shared options of a command that works on this machine only."""
    found = shared(ctx)
    if found.server is not None:
        raise click.UsageError(f"{ctx.info_name} works on this machine; leave --server out.", ctx)
    return found


def output_options(command: F) -> F:
    """How an answer is given: --json, --jsonl, --quiet."""
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="The answer alone: no progress, no citations."),
        click.option(
            "--jsonl", is_flag=True, help="Every event as a line of JSON once recorded; last the answer."
        ),
        click.option("--json", "as_json", is_flag=True, help="One JSON object in place of text."),
    ):
        command = option(command)
    return command
