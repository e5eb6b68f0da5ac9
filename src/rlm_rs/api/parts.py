"""What a request's handler is given: the wired service of the running application."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from starlette.types import Scope

from rlm_rs.api.sign_in import OneTimeLinks
from rlm_rs.orchestrator.ports import Service
from rlm_rs.telemetry.metrics import Metrics
from rlm_rs.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Parts:
    """One per application, made when it starts. workers: those that run in this process, by name.

    links: the sign-in links this process gave out and nobody has used yet.
    """

    wiring: Wiring
    service: Service
    metrics: Metrics
    workers: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    links: OneTimeLinks = field(default_factory=OneTimeLinks)


def parts_of(scope: Scope) -> Parts:
    """The parts of the application that a request came to."""
    parts: Parts = scope["app"].state.parts
    return parts


def _service(request: Request) -> Service:
    return parts_of(request.scope).service


def _parts(request: Request) -> Parts:
    return parts_of(request.scope)


ServiceDep = Annotated[Service, Depends(_service)]
PartsDep = Annotated[Parts, Depends(_parts)]
