"""OpenTelemetry, where ENABLE_OTEL_TRACING asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlm_rs.core.errors import SettingInvalid
from rlm_rs.orchestrator.event_log import EventLog
from rlm_rs.settings import Settings

if TYPE_CHECKING:
    from rlm_rs.telemetry.requests import AnsweredRequest


async def nothing_to_close() -> None:
    """What closes tracing that is off."""


@dataclass(frozen=True, slots=True)
class Traced:
    """Tracing as it is set. answered: is told of each request of the API; None where tracing is off."""

    answered: Callable[[AnsweredRequest], None] | None = None
    close: Callable[[], Awaitable[None]] = nothing_to_close


def traced(settings: Settings, log: EventLog, provider: str) -> Traced:
    """Send spans of all that is recorded here, if the settings say so, until it is closed.

    Raises `SettingInvalid` where the extra `otel` is not installed.
    """
    if not settings.enable_otel_tracing:
        return Traced()
    try:
        from rlm_rs.telemetry.tracing import Tracing
    except ModuleNotFoundError as error:
        raise SettingInvalid(
            variable="ENABLE_OTEL_TRACING",
            value="true",
            reason=f"{error.name} is missing: install it with `pip install 'rlm-rs[otel]'`.",
        ) from error
    content = settings.otel_instrumentation_genai_capture_message_content
    tracing = Tracing(provider, content=content)
    unwatch = log.watch(tracing.heard)

    async def close() -> None:
        unwatch()
        await asyncio.to_thread(tracing.close)

    return Traced(tracing.answered, close)
