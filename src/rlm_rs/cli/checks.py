"""Checks as lines: one each, and below a failure what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rlm_rs.cli.streams import one_line, say, say_json

if TYPE_CHECKING:
    from rlm_rs.health import Health


async def collected(checks: AsyncIterator[Health], *, told: bool) -> list[Health]:
    """All checks; each is said as soon as it is known, if they are to be told."""
    found = []
    async for check in checks:
        found.append(check)
        if told:
            _say(check)
    return found


def summed_up(found: Sequence[Health], *, as_json: bool) -> int:
    """Say how it ended, or all of it as JSON; returns the exit code."""
    failed = [check for check in found if not check.ok]
    if as_json:
        say_json({"ok": not failed, "checks": [asdict(check) for check in found]})
    elif failed:
        say(f"\n{len(failed)} of {len(found)} checks failed.")
    else:
        say(f"\nAll {len(found)} checks passed.")
    return 1 if failed else 0


def _say(check: Health) -> None:
    say(f"{'ok' if check.ok else 'FAILED':<8}{check.name}: {one_line(check.detail)}")
    if not check.ok and check.fix:
        say(f"        -> {check.fix}")
