"""`rlm keys`: the API keys of the service."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rlm_rs.cli.options import here_alone, shared_options

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from rlm_rs.core.ports import Keys
    from rlm_rs.core.records import ApiKeyRecord

T = TypeVar("T")

SECONDS_PER_DAY = 86_400
SCOPES = ("read", "write", "admin")


@click.group("keys", short_help="Create, list and revoke API keys.")
@shared_options
def command() -> None:
    """Create, list and revoke the API keys that `rlm serve` accepts."""


@command.command("create", short_help="Make a key and show it once.")
@click.option("--tenant", required=True, metavar="ID", help="Whose key it is; a new tenant needs no more.")
@click.option("--name", required=True, help="What the key is for, to tell it from others.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=SCOPES[:2],
    show_default=True,
    help="What it may do; can be repeated. admin reads the audit log.",
)
@click.option(
    "--expires-in", type=click.IntRange(1, 36_500), metavar="DAYS", help="Days it is good for; else for ever."
)
@click.option("--json", "as_json", is_flag=True, help="A JSON object in place of the key alone.")
@shared_options
@click.pass_context
def create(
    ctx: click.Context, tenant: str, name: str, scopes: tuple[str, ...], expires_in: int | None, as_json: bool
) -> int:
    """Make an API key. It is shown here and never again: only a hash of it is stored."""
    from rlm_rs.cli.streams import say, say_json, tell
    from rlm_rs.orchestrator.keys import create_key

    expires_at = time.time() + expires_in * SECONDS_PER_DAY if expires_in else None
    key, record = _with_keys(
        ctx,
        lambda keys, pepper: create_key(
            keys, pepper, tenant_id=tenant, name=name, scopes=scopes, expires_at=expires_at
        ),
    )
    if as_json:
        say_json({"key": key, **_shown(record)})
    else:
        say(key)
        tell(f"Keep it: it is not shown again. Its id, to revoke it, is {record.key_id}.")
    return 0


@command.command("list", short_help="List keys, oldest first.")
@click.option("--tenant", metavar="ID", help="Those of one tenant.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@shared_options
@click.pass_context
def list_command(ctx: click.Context, tenant: str | None, as_json: bool) -> int:
    """List keys, oldest first: id, tenant, name, scopes, last use, and whether they are good."""
    from rlm_rs.cli.streams import say, say_json, tell

    rows = _with_keys(ctx, lambda keys, pepper: keys.list_keys(tenant))
    if as_json:
        say_json([_shown(row) for row in rows])
    elif rows:
        say("\n".join(_table(rows)))
    else:
        tell("There are no keys. `rlm keys create` makes one.")
    return 0


@command.command("revoke", short_help="Make a key worthless.")
@click.argument("key_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="A JSON object in place of text.")
@shared_options
@click.pass_context
def revoke(ctx: click.Context, key_id: str, as_json: bool) -> int:
    """Revoke the key with this id, as `rlm keys list` shows it, at once and for good."""
    from rlm_rs.cli.streams import say_json, tell
    from rlm_rs.orchestrator.keys import revoke_key

    record = _with_keys(ctx, lambda keys, pepper: revoke_key(keys, key_id))
    if as_json:
        say_json(_shown(record))
    else:
        tell(f"{record.key_id} ({record.tenant_id}, {record.name}) is revoked.")
    return 0


def _with_keys(ctx: click.Context, use: Callable[[Keys, str], Awaitable[T]]) -> T:
    from pathlib import Path

    from rlm_rs.cli.running import run
    from rlm_rs.settings import load_settings
    from rlm_rs.wiring import stored_keys

    data_dir = here_alone(ctx).data_dir
    settings = load_settings(rlm_data_dir=Path(data_dir) if data_dir else None)

    async def used() -> T:
        async with stored_keys(settings) as (keys, pepper):
            return await use(keys, pepper)

    return run(used())


def _shown(key: ApiKeyRecord) -> dict[str, Any]:
    """A key as JSON, without its hash."""
    from dataclasses import asdict

    return {name: value for name, value in asdict(key).items() if name != "key_hash"}


def _table(rows: Sequence[ApiKeyRecord]) -> list[str]:
    now = time.time()
    cells = [("ID", "TENANT", "SCOPES", "LAST USE", "STATE", "NAME"), *(_cells(row, now) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(5)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:5], widths, strict=True)), row[5]])
        for row in cells
    ]


def _cells(key: ApiKeyRecord, now: float) -> tuple[str, ...]:
    from rlm_rs.cli.amounts import age

    used = age(now - key.last_used_at) if key.last_used_at else "never"
    return key.key_id, key.tenant_id, ",".join(key.scopes), used, _state(key, now), key.name


def _state(key: ApiKeyRecord, now: float) -> str:
    from rlm_rs.orchestrator.keys import is_good

    if key.revoked_at is not None:
        return "revoked"
    return "good" if is_good(key, now) else "expired"
