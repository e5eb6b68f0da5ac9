"""`rlm verify`: check citations against the stored texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import click

from rlm_rs.cli.options import Shared, server_option, shared, shared_options

if TYPE_CHECKING:
    from rlm_rs.orchestrator.claims import CheckedClaim


@click.command("verify", short_help="Check citations against the stored texts.")
@click.argument("file", type=click.File("rb"), metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="A JSON object in place of lines.")
@server_option
@shared_options
@click.pass_context
def command(ctx: click.Context, file: BinaryIO, as_json: bool) -> int:
    """Recompute the citations in FILE (- is standard input): the output of `rlm ask --json` or
    --jsonl, a list of citations, or a single SpanRef.

    Exit code 0 if all of them hold, else 1.
    """
    from rlm_rs.cli.running import run
    from rlm_rs.cli.streams import say_json

    text = file.read().decode("utf-8-sig", "replace")
    checked = run(_checked(text, shared(ctx)))
    if as_json:
        say_json({"valid": _all_hold(checked), "citations": [_claim_dict(one) for one in checked]})
    else:
        _say_lines(checked)
    return 0 if _all_hold(checked) else 1


async def _checked(text: str, options: Shared) -> list[CheckedClaim]:
    from rlm_rs.cli.engine import open_engine
    from rlm_rs.orchestrator.claims import read_claims

    claims = read_claims(text)
    async with open_engine(options) as engine:
        return await engine.acheck_claims(claims)


def _all_hold(checked: list[CheckedClaim]) -> bool:
    return all(one.verification.valid for one in checked)


def _say_lines(checked: list[CheckedClaim]) -> None:
    from rlm_rs.cli.amounts import count
    from rlm_rs.cli.streams import say

    for number, one in enumerate(checked, start=1):
        say(f"{'ok' if one.verification.valid else 'CHANGED':<8}[{number}] {_place(one)}{_reason(one)}")
    changed = sum(not one.verification.valid for one in checked)
    total = count(len(checked), "citation")
    if not checked:
        say("There are no citations in it.")
    else:
        say(f"{changed} of {total} do not hold." if changed else f"{total}, all verified.")


def _place(one: CheckedClaim) -> str:
    ref = one.claim.ref
    name = one.verification.source_name or one.claim.source_name or ref.doc_id
    page = f", page {one.page}" if one.page else ""
    return f"{name}{page}, characters {ref.start_char:,} to {ref.end_char:,}"


def _reason(one: CheckedClaim) -> str:
    return f": {one.verification.reason}" if one.verification.reason else ""


def _claim_dict(one: CheckedClaim) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "valid": one.verification.valid,
        "reason": one.verification.reason,
        "source_name": one.verification.source_name,
        "page": one.page,
        "text": one.verification.text,
        "ref": asdict(one.claim.ref),
    }
