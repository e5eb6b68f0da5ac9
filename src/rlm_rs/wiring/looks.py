"""What `rlm deploy` does in an account, without what it takes to do it: boto3 is slow to import."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from rlm_rs.settings import Settings
from rlm_rs.wiring.secrets import needs_aws_parts


@dataclass(frozen=True, slots=True)
class Look:
    """One thing to look at: its name, the look itself, what to do when it fails, and what it needs.

    needs: the look that must have been well for this one to say anything.
    """

    name: str
    take: Callable[[], Awaitable[str]]
    fix: str
    needs: str = "identity"


def account_looks(settings: Settings) -> Sequence[Look]:
    """What is to be looked at in the AWS account that the settings name. Raises `SettingInvalid`."""
    with needs_aws_parts("RLM_PROFILE"):
        from rlm_rs.wiring.deploying import looks

    return looks(settings)


async def create_in_account(settings: Settings) -> list[str]:
    """Create what the AWS profile keeps things in, where it is missing. Raises `RlmError`."""
    with needs_aws_parts("RLM_PROFILE"):
        from rlm_rs.wiring.deploying import create

    return await create(settings)
