"""The composition root: settings to ports. The only part that knows the adapters.

Every entry point and every test gets its parts here, and may hand in its own.
"""

from __future__ import annotations

from rlm_rs.core.ports import ModelProvider, Sandbox
from rlm_rs.orchestrator.completions import Completions
from rlm_rs.orchestrator.event_log import EventLog
from rlm_rs.orchestrator.limiter import Limiter
from rlm_rs.orchestrator.ports import Ports
from rlm_rs.orchestrator.sessions import new_session_id
from rlm_rs.orchestrator.texts import DocumentTexts
from rlm_rs.parser.pool import ParserPool
from rlm_rs.runners.image import CorpusImages
from rlm_rs.runners.process import ProcessRunner
from rlm_rs.settings import Settings
from rlm_rs.wiring.providers import FAKE, OFFLINE_NOTICE, make_provider, provider_name
from rlm_rs.wiring.stores import Stores, embedded_stores, stored_keys
from rlm_rs.wiring.wired import Wiring

__all__ = ["FAKE", "OFFLINE_NOTICE", "Wiring", "provider_name", "stored_keys", "wire"]


def wire(
    settings: Settings, *, provider: ModelProvider | None = None, sandbox: Sandbox | None = None
) -> Wiring:
    """Every part that the settings ask for, ready to work. Raises `SettingInvalid`."""
    stores = embedded_stores(settings)
    provider = provider or make_provider(settings)
    sandbox = sandbox or ProcessRunner(CorpusImages(stores.blobs, settings.rlm_data_dir / "images"))
    return Wiring(
        settings,
        _ports(settings, stores, provider, sandbox),
        ParserPool(workers=settings.parser_workers),
        stores,
        spool=settings.rlm_data_dir / "spool" / new_session_id(),
        limiter=Limiter(settings.rate_limits(), stores.rates, stores.catalog),
    )


def _ports(settings: Settings, stores: Stores, provider: ModelProvider, sandbox: Sandbox) -> Ports:
    prices, bucket = settings.prices(), settings.s3_bucket
    return Ports(
        log=EventLog(stores.journal, stores.blobs, bucket),
        blobs=stores.blobs,
        catalog=stores.catalog,
        provider=provider,
        sandbox=sandbox,
        completions=Completions(provider, stores.blobs, prices, bucket, settings.rlm_cache_scope),
        texts=DocumentTexts(stores.blobs),
        bucket=bucket,
        concurrency=settings.tool_resolution_max_concurrency,
        subcall_max_tokens=settings.subcall_max_tokens,
        state_summary=settings.enable_root_state_summary,
        merge_gap_chars=settings.citation_merge_gap_chars,
        prices=prices,
        windows=settings.windows(),
    )
