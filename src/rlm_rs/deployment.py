"""Whether everything the service needs on AWS is there: the checks behind `rlm deploy check`."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rlm_rs.core.errors import RlmError, SettingInvalid
from rlm_rs.health import Health
from rlm_rs.settings import Settings
from rlm_rs.wiring import Look, account_looks, create_in_account


async def check_deployment(settings: Settings) -> AsyncIterator[Health]:
    """Every check in turn. Those that need what has failed already are left out. Raises `SettingInvalid`."""
    well: set[str] = set()
    for look in account_looks(_on_aws(settings)):
        if look.needs and look.needs not in well:
            continue
        health = await _taken(look)
        yield health
        if health.ok:
            well.add(look.name)


async def create_deployment(settings: Settings) -> list[str]:
    """Create tables, queues and bucket where they are missing; returns what there is. Raises `RlmError`."""
    return await create_in_account(_on_aws(settings))


async def _taken(look: Look) -> Health:
    try:
        return Health(look.name, True, await look.take())
    except RlmError as error:
        return Health(look.name, False, error.message, look.fix)


def _on_aws(settings: Settings) -> Settings:
    if settings.profile() != "aws":
        raise SettingInvalid(
            variable="RLM_PROFILE", value=settings.profile(), reason="set it to aws to deploy there."
        )
    return settings
