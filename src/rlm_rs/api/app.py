"""The application: `uvicorn rlm_rs.api.app:app`, or what `rlm serve` runs.

Everything is wired when it starts and ended when it stops, in this process's event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.routing import Route

from rlm_rs.api.edge import Edge
from rlm_rs.api.envelope import install
from rlm_rs.api.examples import with_examples
from rlm_rs.api.gate import MCP_PATH, Gate
from rlm_rs.api.mcp_endpoint import McpEndpoint
from rlm_rs.api.parts import Parts
from rlm_rs.api.routes import (
    audit,
    chat,
    citations,
    evaluation,
    events,
    executions,
    health,
    reports,
    runtime,
    sessions,
    sign_in,
    site,
)
from rlm_rs.api.sign_in import OneTimeLinks
from rlm_rs.settings import load_settings
from rlm_rs.telemetry.logs import configure_logging
from rlm_rs.telemetry.metrics import Metrics
from rlm_rs.version import __version__
from rlm_rs.wiring import Wiring, wire

DESCRIPTION = (
    "Recursive Language Models over document collections far larger than a model's context window, "
    "with citations anyone can re-check. Every response that is not 2xx is an error envelope."
)
ROUTERS = (
    sessions,
    executions,
    evaluation,
    events,
    runtime,
    citations,
    chat,
    audit,
    health,
    reports,
    sign_in,
    site,
)

Wired = Callable[[], Wiring]


def create_app(wired: Wired | None = None, links: OneTimeLinks | None = None) -> FastAPI:
    """The application. wired: makes the parts when it starts; by default from the settings.

    links: sign-in links that whoever starts it has given out.
    """
    tools = McpEndpoint()
    # FastAPI, with the scripts of /docs and /redoc from this server and not from another's
    app = FastAPIOffline(
        title="RLM-RS",
        version=__version__,
        description=DESCRIPTION,
        redirect_slashes=False,
        lifespan=_lifespan(wired or _from_settings, links or OneTimeLinks(), tools),
    )
    for module in ROUTERS:
        app.include_router(module.router)
    app.router.routes.append(Route(MCP_PATH, tools, include_in_schema=False))
    install(app)
    with_examples(app)
    app.add_middleware(Gate)
    app.add_middleware(Edge)
    return app


def _from_settings() -> Wiring:
    return wire(load_settings())


def _lifespan(
    wired: Wired, links: OneTimeLinks, tools: McpEndpoint
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        wiring, metrics, stop = wired(), Metrics(), asyncio.Event()
        # one that is missing is said at start, not to the first request
        wiring.pepper()
        service = wiring.observed_service(metrics)
        workers = {worker.name: asyncio.create_task(worker.run(stop)) for worker in wiring.workers(service)}
        app.state.parts = Parts(wiring, service, metrics, workers, links)
        try:
            async with tools.running(app.state.parts):
                yield
        finally:
            stop.set()
            await asyncio.gather(*workers.values(), return_exceptions=True)
            await wiring.close()

    return lifespan


def __getattr__(name: str) -> FastAPI:
    """`app`, made when a server asks for it: what that server then logs is JSON from its first line on."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    configure_logging()
    app = globals()["app"] = create_app()
    return app
