"""The composition root: settings to ports. The only part that knows the adapters.

Every entry point and every test gets its parts here, and may hand in its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rlm_rs.core.ports import ModelProvider, Sandbox, Tools
from rlm_rs.orchestrator.completions import Completions
from rlm_rs.orchestrator.event_log import EventLog
from rlm_rs.orchestrator.limiter import Limiter
from rlm_rs.orchestrator.ports import Ports
from rlm_rs.orchestrator.searches import Searches
from rlm_rs.orchestrator.texts import DocumentTexts
from rlm_rs.parser.pool import ParserPool
from rlm_rs.runners.image import CorpusImages
from rlm_rs.runners.image_space import ImageSpace
from rlm_rs.runners.process import ProcessRunner
from rlm_rs.settings import Settings
from rlm_rs.wiring.looks import Look, account_looks, create_in_account
from rlm_rs.wiring.providers import FAKE, OFFLINE_MODELS, OFFLINE_NOTICE, make_provider, provider_name
from rlm_rs.wiring.schemas import SchemasWhenNeeded
from rlm_rs.wiring.search import make_search
from rlm_rs.wiring.secrets import needs_aws_parts, with_secrets
from rlm_rs.wiring.spool import Spool
from rlm_rs.wiring.stores import Stores, make_stores, stored_keys
from rlm_rs.wiring.tools import make_tools
from rlm_rs.wiring.tracing import traced
from rlm_rs.wiring.wired import Wiring

__all__ = [
    "FAKE",
    "OFFLINE_MODELS",
    "OFFLINE_NOTICE",
    "Look",
    "Wiring",
    "account_looks",
    "create_in_account",
    "provider_name",
    "stored_keys",
    "wire",
]

IDLE_IMAGE_SECONDS = 3600.0


def wire(
    settings: Settings,
    *,
    provider: ModelProvider | None = None,
    sandbox: Sandbox | None = None,
    functions: Sequence[Callable[..., Any]] = (),
) -> Wiring:
    """Every part that the settings ask for, ready to work; functions: custom tools.

    Raises `SettingInvalid`, `ValidationFailed`.
    """
    settings = with_secrets(settings)
    tools = make_tools(settings, functions)
    stores = make_stores(settings)
    provider = provider or make_provider(settings)
    sandbox = sandbox or _sandbox(settings, stores)
    ports = _ports(settings, stores, provider, sandbox, tools)
    return Wiring(
        settings,
        ports,
        ParserPool(workers=settings.parser_workers),
        stores,
        spooled=Spool(settings.rlm_data_dir / "spool"),
        limiter=Limiter(settings.rate_limits(), stores.rates, stores.catalog),
        tracing=traced(settings, ports.log, provider.name),
    )


def _sandbox(settings: Settings, stores: Stores) -> Sandbox:
    if settings.sandbox_runner == "lambda":
        with needs_aws_parts("SANDBOX_RUNNER"):
            from rlm_rs.wiring.steps_on_lambda import lambda_runner

        return lambda_runner(settings, stores)
    return ProcessRunner(_images(settings, stores))


def _images(settings: Settings, stores: Stores) -> CorpusImages:
    # where sessions are removed by other machines too, their texts do not stay on this one's disk
    idle = IDLE_IMAGE_SECONDS if settings.profile() == "aws" else None
    space = ImageSpace(settings.image_cache_bytes, idle)
    return CorpusImages(stores.blobs, settings.rlm_data_dir / "images", space)


def _ports(
    settings: Settings, stores: Stores, provider: ModelProvider, sandbox: Sandbox, tools: Tools
) -> Ports:
    prices, bucket = settings.prices(), settings.s3_bucket
    texts, index = DocumentTexts(stores.blobs), make_search(settings, stores.blobs)
    return Ports(
        log=EventLog(stores.journal, stores.blobs, bucket),
        blobs=stores.blobs,
        catalog=stores.catalog,
        provider=provider,
        sandbox=sandbox,
        completions=Completions(provider, stores.blobs, prices, bucket, settings.rlm_cache_scope),
        texts=texts,
        schemas=SchemasWhenNeeded(),
        bucket=bucket,
        concurrency=settings.tool_resolution_max_concurrency,
        subcall_max_tokens=settings.subcall_max_tokens,
        state_summary=settings.enable_root_state_summary,
        merge_gap_chars=settings.citation_merge_gap_chars,
        prices=prices,
        windows=settings.windows(),
        tools=tools,
        tool_seconds=settings.tool_timeout_seconds,
        keep_traces=settings.enable_return_trace,
        redact_traces=settings.enable_trace_redaction,
        search=Searches(index, stores.blobs, texts, bucket) if index else None,
    )
