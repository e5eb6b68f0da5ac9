"""Health and metrics: no key needed, and nothing of any tenant in them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Response

from rlm_rs.api.envelope import documented
from rlm_rs.api.parts import Parts, PartsDep
from rlm_rs.api.service_views import Live, Ready
from rlm_rs.core.errors import NotFound, RlmError, ServiceNotReady
from rlm_rs.core.records import WorkKind
from rlm_rs.telemetry.metrics import CONTENT_TYPE

router = APIRouter(tags=["health"])

NOBODY = "health"


@router.get("/health/live", responses=documented())
async def live() -> Live:
    """Whether the process runs."""
    return Live()


@router.get("/health/ready", responses=documented(ServiceNotReady))
async def ready(parts: PartsDep) -> Ready:
    """Whether everything a request needs works; what does not is named in the error's details."""
    checks, failed = await _checks(parts)
    if failed:
        reason = "; ".join(f"{name}: {text}" for name, text in failed.items())
        raise ServiceNotReady(reason=reason, failed=failed, checks=checks)
    return Ready(checks=checks)


async def _checks(parts: Parts) -> tuple[dict[str, str], dict[str, str]]:
    found, failed = {}, {}
    for name, check in CHECKS.items():
        try:
            found[name] = await check(parts)
        except (RlmError, OSError) as error:
            failed[name] = error.message if isinstance(error, RlmError) else str(error)
    for name, task in parts.workers.items():
        if task.done():
            failed[f"worker {name}"] = "has stopped"
        else:
            found[f"worker {name}"] = "running"
    return found, failed


async def _storage(parts: Parts) -> str:
    await parts.wiring.ports.catalog.list_executions(NOBODY, 1)
    await parts.wiring.ports.blobs.list(f"s3://{parts.wiring.ports.bucket}/{NOBODY}/")
    return "can be read"


async def _sandbox(parts: Parts) -> str:
    return await parts.wiring.sandbox_layers()


async def _models(parts: Parts) -> str:
    models = parts.wiring.models()
    return f"{parts.wiring.ports.provider.name}: root {models.root}, sub {models.sub}"


async def _parser(parts: Parts) -> str:
    return await parts.wiring.parser_answers()


CHECKS: dict[str, Callable[[Parts], Awaitable[str]]] = {
    "storage": _storage,
    "parser": _parser,
    "sandbox": _sandbox,
    "models": _models,
}


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        **documented(NotFound),
        200: {"content": {"text/plain": {}}, "description": "Prometheus text"},
    },
)
async def metrics(parts: PartsDep) -> Response:
    """Prometheus metrics of this process, with the queues' depths as they are now."""
    if not parts.wiring.settings.enable_metrics:
        raise NotFound("ENABLE_METRICS is off.")
    for kind in WorkKind:
        parts.metrics.queue_depth(str(kind), await parts.wiring.work.waiting(kind))
    return Response(parts.metrics.render(), media_type=CONTENT_TYPE)
