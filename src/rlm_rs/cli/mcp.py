"""`rlm mcp`: the engine as tools of an assistant, over standard input and output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rlm_rs.cli.options import Shared, server_option, shared, shared_options

if TYPE_CHECKING:
    from pathlib import Path

    from rlm_rs.mcp.clients import Client, Entry

INVALID = 2

_root = click.option(
    "--root",
    "roots",
    metavar="DIR",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    help="A folder whose files may be read; can be repeated.",
)


@click.group("mcp", short_help="Serve the tools of MCP to an assistant.", invoke_without_command=True)
@_root
@server_option
@shared_options
@click.pass_context
def command(ctx: click.Context, roots: tuple[str, ...]) -> int | None:
    """Serve MCP on standard input and output; a client starts this, and needs no other server.

    The engine is this process's own, or with --server that of a server. Files are read only below --root and
    the folders that the client says it works in.

    \b
    rlm mcp install --root ~/contracts
    """
    if ctx.invoked_subcommand is not None:
        return None
    from pathlib import Path

    try:
        from rlm_rs.mcp.stdio import run
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        raise click.UsageError(
            f"{missing} is missing: install the MCP server with `pip install 'rlm-rs[mcp]'`."
        ) from error
    from rlm_rs.settings import load_settings

    said = shared(ctx)
    data_dir = Path(said.data_dir) if said.data_dir else None
    return run(load_settings(rlm_data_dir=data_dir, rlm_base_url=said.server), roots)


@command.command("install", short_help="Add it to the clients on this machine.")
@click.option(
    "--client",
    "names",
    multiple=True,
    type=click.Choice(["claude-desktop", "claude-code", "cursor", "vscode", "windsurf", "gemini"]),
    help="For which client; can be repeated. By default all that are found here.",
)
@_root
@click.option("--name", default="rlm", show_default=True, help="What the client lists it as.")
@click.option(
    "--env",
    "variables",
    metavar="NAME",
    multiple=True,
    help="Write this variable into the entry, with the value it has now; can be repeated.",
)
@click.option("--force", is_flag=True, help="Replace an entry of that name.")
@click.option("--print", "show", is_flag=True, help="Show the entry; write nothing.")
@server_option
@shared_options
@click.pass_context
def install_command(
    ctx: click.Context,
    names: tuple[str, ...],
    roots: tuple[str, ...],
    name: str,
    variables: tuple[str, ...],
    force: bool,
    show: bool,
) -> int:
    """Add `rlm mcp` to a client's list of servers. What else is in the list stays, and a copy is kept."""
    from pathlib import Path

    from rlm_rs.cli.streams import say, tell

    home = Path.home()
    above = ctx.parent.params["roots"] if ctx.parent else ()
    entry = _entry(name, (*above, *roots), shared(ctx), variables)
    failures = 0
    for client in _chosen(names, home, any_will_do=show):
        if show:
            tell(f"{client.title}: {client.file(home)}")
            say(entry.printed(client))
        else:
            failures += not _installed(client, entry, home, force)
    return INVALID if failures else 0


def _installed(client: Client, entry: Entry, home: Path, force: bool) -> bool:
    """Put the entry into a client's list, and say in a line what came of it; whether it is there now."""
    from rlm_rs.cli.streams import say, tell
    from rlm_rs.core.errors import ValidationFailed
    from rlm_rs.mcp.clients import install

    try:
        done = install(client, entry, home, force=force)
    except ValidationFailed as error:
        tell(f"{client.title}: {error.message}")
        return False
    if done.changed:
        kept = f" (as it was: {done.backup.name})" if done.backup else ""
        say(f"{client.title}: added {entry.name} to {done.file}{kept}. Restart {client.title}.")
    else:
        say(f"{client.title}: {done.file} has it already.")
    return True


def _chosen(names: tuple[str, ...], home: Path, *, any_will_do: bool) -> list[Client]:
    from rlm_rs.mcp.clients import CLIENTS

    if names:
        return [CLIENTS[name] for name in dict.fromkeys(names)]
    found = [client for client in CLIENTS.values() if client.is_here(home)]
    if not found and any_will_do:
        return [next(iter(CLIENTS.values()))]
    if not found:
        raise click.UsageError(f"No client was found here. Name one: --client {'|'.join(CLIENTS)}.")
    return found


def _entry(name: str, roots: tuple[str, ...], said: Shared, variables: tuple[str, ...]) -> Entry:
    import os

    from rlm_rs.mcp.clients import this_program

    missing = [variable for variable in variables if variable not in os.environ]
    if missing:
        raise click.UsageError(f"--env {missing[0]}: it is not set here.")
    options = ["--data-dir", os.path.abspath(said.data_dir)] if said.data_dir else []
    options += ["--server", said.server] if said.server else []
    for root in dict.fromkeys(os.path.abspath(root) for root in roots):
        options += ["--root", root]
    return this_program(name, options, {variable: os.environ[variable] for variable in variables})
