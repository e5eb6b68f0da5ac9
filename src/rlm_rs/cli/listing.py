"""`rlm list`: executions, newest first."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from rlm_rs.cli.options import Shared, program_name, server_option, shared, shared_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlm_rs.core.records import ExecutionRecord

ID_CHARS = 13
QUESTION_CHARS = 60


@click.command("list", short_help="List executions, newest first.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list with whole ids and questions.")
@server_option
@shared_options
@click.pass_context
def command(ctx: click.Context, limit: int, as_json: bool) -> int:
    """List executions, newest first: id, status, age, turns, cost, question."""
    from dataclasses import asdict

    from rlm_rs.cli.running import run
    from rlm_rs.cli.streams import say, say_json, tell

    rows = run(_listed(limit, shared(ctx)))
    if as_json:
        say_json([asdict(row) for row in rows])
    elif rows:
        say("\n".join(_table(rows)))
    else:
        tell(f"Nothing was asked yet. Try: {program_name()} ask QUESTION PATH...")
    return 0


async def _listed(limit: int, options: Shared) -> Sequence[ExecutionRecord]:
    from rlm_rs.cli.engine import open_engine

    async with open_engine(options) as engine:
        return await engine.aexecutions(limit)


def _table(rows: Sequence[ExecutionRecord]) -> list[str]:
    cells = [("ID", "STATUS", "AGE", "TURNS", "COST", "QUESTION"), *(_cells(row, rows) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(5)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:5], widths, strict=True)), row[5]])
        for row in cells
    ]


def _cells(row: ExecutionRecord, rows: Sequence[ExecutionRecord]) -> tuple[str, ...]:
    from rlm_rs.cli.amounts import age, cost
    from rlm_rs.cli.streams import one_line

    spent = "?" if row.cost_usd is None else cost(row.cost_usd) or "-"
    question = one_line(row.question, QUESTION_CHARS)
    return (_short(row, rows), row.status, age(time.time() - row.created_at), str(row.turns), spent, question)


def _short(row: ExecutionRecord, rows: Sequence[ExecutionRecord]) -> str:
    """As much of the id as tells it from the others listed."""
    whole, length = row.execution_id, ID_CHARS
    while length < len(whole) and sum(other.execution_id.startswith(whole[:length]) for other in rows) > 1:
        length += 1
    return whole[:length]
