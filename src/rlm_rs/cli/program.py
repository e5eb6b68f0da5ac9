"""The group of all commands. Each is a module of its own, imported when it is called."""

from __future__ import annotations

from importlib import import_module

import click

from rlm_rs.cli.options import server_option, shared_options
from rlm_rs.version import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    "ask": ("ask", "Answer a question over files, with citations."),
    "show": ("show", "Show an execution: its answer, citations and turns."),
    "view": ("view", "Show an execution in a browser, or write it as one HTML file."),
    "list": ("listing", "List executions, newest first."),
    "resume": ("resume", "Go on with an execution that was interrupted."),
    "verify": ("verify", "Check citations against the stored texts."),
    "serve": ("serve", "Serve the web UI and the HTTP API, with their workers."),
    "mcp": ("mcp", "Serve the tools of MCP to an assistant."),
    "keys": ("keys", "Create, list and revoke API keys."),
    "finetune": ("finetune", "Turn executions into training data."),
    "eval": ("evals", "Make and run suites of questions with known answers."),
    "doctor": ("doctor", "Check that everything needed works here."),
    "deploy": ("deploy", "Check what the service needs on AWS, or create it."),
}
"""Command name to module and one-line help."""


class LazyGroup(click.Group):
    """A group that imports a command's module only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order to show them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"rlm_rs.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="rlm", message="%(prog)s %(version)s")
@server_option
@shared_options
def program() -> None:
    """Answers over document collections far larger than a model's context window, with citations
    anyone can re-check.

    \b
    rlm ask "Which agreements renew automatically?" contracts/
    """
