"""The composition root: settings to ports. The only module that knows the adapters.

Every entry point and every test gets its parts here, and may hand in its own.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pydantic import SecretStr

from rlm_rs.core.corpus import Source
from rlm_rs.core.errors import SandboxFailed, SettingInvalid, ValidationFailed
from rlm_rs.core.execution import Models
from rlm_rs.core.ports import (
    AuditLog,
    Blobs,
    Catalog,
    Idempotency,
    Journal,
    Keys,
    ModelProvider,
    Parser,
    Sandbox,
    StoredParser,
    Work,
)
from rlm_rs.core.records import ApiKeyRecord, WorkKind
from rlm_rs.orchestrator.completions import Completions
from rlm_rs.orchestrator.event_log import EventLog
from rlm_rs.orchestrator.ingestion import Ingestion
from rlm_rs.orchestrator.keys import DEFAULT_SCOPES, check_key, create_key
from rlm_rs.orchestrator.limiter import Limiter
from rlm_rs.orchestrator.ports import AnswerSchemas, Ports, Service
from rlm_rs.orchestrator.sessions import new_session_id
from rlm_rs.orchestrator.stored_parsing import LocalStoredParser
from rlm_rs.orchestrator.texts import DocumentTexts
from rlm_rs.orchestrator.worker import Worker, WorkerLimits
from rlm_rs.parser.pool import ParserPool
from rlm_rs.parser.remote import RemoteStoredParser
from rlm_rs.parser.sources import discover
from rlm_rs.runners.image import CorpusImages
from rlm_rs.runners.probe import Check, prove
from rlm_rs.runners.process import ProcessRunner
from rlm_rs.settings import Settings
from rlm_rs.storage.blobs import DirectoryBlobs
from rlm_rs.storage.database import Database, sqlite_version
from rlm_rs.storage.pepper import kept_pepper
from rlm_rs.storage.sqlite import SqliteCatalog, SqliteJournal
from rlm_rs.storage.sqlite_keys import SqliteAuditLog, SqliteKeys
from rlm_rs.storage.sqlite_limits import RATES_SCHEMA, SqliteIdempotency, SqliteRates
from rlm_rs.storage.sqlite_work import SqliteWork

if TYPE_CHECKING:
    from rlm_rs.providers.openai import OpenAIConfig

FAKE = "fake"
DATABASE_FILE = "rlm.sqlite"
WORKER_KINDS = {
    "all": (WorkKind.INGESTION, WorkKind.EXECUTION),
    "ingestion": (WorkKind.INGESTION,),
    "orchestrator": (WorkKind.EXECUTION,),
    "none": (),
}
OFFLINE_NOTICE = (
    "No model is configured: answering with the offline policy, which searches and quotes but does not "
    "reason. Set OPENAI_API_KEY for a real one."
)
DEFAULT_MODELS = {FAKE: Models("fake-root", "fake-sub"), "openai": Models("gpt-5", "gpt-5-mini")}


@dataclass(frozen=True, slots=True)
class Wiring:
    """Everything wired together. `close` ends every process and connection it started."""

    settings: Settings
    ports: Ports
    parser: Parser
    database: Database
    spool: Path
    work: Work
    keys: Keys
    audit: AuditLog
    idempotency: Idempotency
    limiter: Limiter
    rates_database: Database

    def models(self, root: str | None = None, sub: str | None = None) -> Models:
        """The models to use: as named here, else as configured, else the provider's defaults."""
        configured = self.settings.default_models()
        name = self.ports.provider.name
        fallback = DEFAULT_MODELS.get(name) or _models_of(self.ports.provider)
        root = root or configured.get("root_model") or (fallback.root if fallback else None)
        if root is None:
            raise ValidationFailed(
                reason=f"Name a root model for {name}: DEFAULT_ROOT_MODEL or --root-model."
            )
        if name == FAKE and not root.startswith(FAKE):
            raise ValidationFailed(
                reason=f"{root} needs a key: set OPENAI_API_KEY (or OPENAI_BASE_URL), or leave the model out "
                "to answer with the offline policy."
            )
        sub = (
            sub
            or configured.get("sub_model")
            or (fallback.sub if fallback and root == fallback.root else root)
        )
        return Models(root, sub)

    async def sandbox_layers(self) -> str:
        """The layers that hold around a step, in words. Raises `SandboxFailed` if none can be run."""
        return (await self._process_runner().start()).in_words()

    async def sandbox_proof(self) -> Sequence[Check]:
        """What was tried from inside a step, and whether it was refused. Raises `SandboxFailed`."""
        return await prove(self._process_runner())

    def _process_runner(self) -> ProcessRunner:
        if isinstance(self.ports.sandbox, ProcessRunner):
            return self.ports.sandbox
        raise SandboxFailed(reason="this kind of sandbox cannot be examined from inside")

    @property
    def sqlite_version(self) -> str:
        """The SQLite release in use."""
        return sqlite_version()

    def check_models(self, models: Models) -> None:
        """Raise `ValidationFailed` if an execution with these models cannot go on with this provider."""
        offline = self.ports.provider.name == FAKE
        if offline:
            self.models(models.root, models.sub)
        elif models.root == DEFAULT_MODELS[FAKE].root:
            raise ValidationFailed(
                reason="It was begun with the offline policy: set LLM_PROVIDER=fake to go on with it."
            )

    def sources(self, paths: Sequence[str], spool: Path, stdin: BinaryIO | None = None) -> list[Source]:
        """The documents that paths, folders, globs, archives and `-` stand for."""
        return list(discover(paths, spool_dir=spool, stdin=stdin))

    def ingestion(self, tenant_id: str, session_id: str | None = None) -> Ingestion:
        """What turns sources into the documents of a session."""
        return Ingestion(
            parser=self.parser,
            blobs=self.ports.blobs,
            bucket=self.ports.bucket,
            tenant_id=tenant_id,
            session_id=session_id or new_session_id(),
            spool=self.spool,
            workers=self.settings.parser_workers,
        )

    def service(self) -> Service:
        """The engine for many tenants, over these parts."""
        return Service(
            ports=replace(self.ports, schemas=_schemas()),
            work=self.work,
            parser=self.stored_parser(),
            spool=self.spool,
            models=self.models,
            budgets=self.settings.budgets(),
            import_prefixes=self.settings.import_prefixes(),
            parsing=2 * self.settings.parser_workers,
        )

    def stored_parser(self) -> StoredParser:
        """The parser service where one is configured, else the parser of this process."""
        if self.settings.parser_service_url:
            return RemoteStoredParser(self.settings.parser_service_url)
        return self.local_parser()

    def local_parser(self) -> LocalStoredParser:
        """The parser of this process, over stored objects."""
        return LocalStoredParser(self.parser, self.ports.blobs, self.spool)

    def workers(self, service: Service) -> list[Worker]:
        """What works in this process, as WORKER_MODE has it."""
        settings = self.settings
        limits = WorkerLimits(
            concurrency=settings.worker_concurrency,
            lease=settings.worker_lease_seconds,
            poll=settings.worker_poll_interval_seconds,
            max_attempts=settings.worker_max_attempts,
            drain=settings.worker_drain_seconds,
        )
        return [Worker(service, [kind], limits=limits) for kind in WORKER_KINDS[settings.worker_mode]]

    def spool_dir(self) -> Path:
        """A fresh temporary folder beside the data, so that files move instead of being copied."""
        self.spool.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self.spool))

    async def create_key(
        self,
        tenant_id: str,
        name: str,
        scopes: Sequence[str] = DEFAULT_SCOPES,
        expires_at: float | None = None,
    ) -> str:
        """A new API key of a tenant, to be shown once. Raises `ValidationFailed`."""
        key, _ = await create_key(
            self.keys,
            _pepper(self.settings),
            tenant_id=tenant_id,
            name=name,
            scopes=scopes,
            expires_at=expires_at,
        )
        return key

    async def check_key(self, key: str) -> ApiKeyRecord:
        """The record of a key that is good now. Raises `Unauthorized`."""
        return await check_key(self.keys, _pepper(self.settings), key)

    async def close(self) -> None:
        """End everything, in the reverse order of its making."""
        await self.ports.sandbox.close()
        await self.parser.close()
        await self.ports.provider.close()
        await self.database.close()
        await self.rates_database.close()
        shutil.rmtree(self.spool, ignore_errors=True)


def _schemas() -> AnswerSchemas:
    # jsonschema is the service's alone
    from rlm_rs.orchestrator.output_schema import JsonSchemas

    return JsonSchemas()


def _models_of(provider: ModelProvider) -> Models | None:
    """The models a provider handed in by the caller plays, where it names them."""
    root, sub = getattr(provider, "root_model", None), getattr(provider, "sub_model", None)
    return Models(root, sub or root) if root else None


def wire(
    settings: Settings, *, provider: ModelProvider | None = None, sandbox: Sandbox | None = None
) -> Wiring:
    """The embedded profile: one data directory, nothing to start."""
    data_dir = settings.rlm_data_dir
    blobs = _blobs(data_dir)
    database = Database(data_dir / DATABASE_FILE)
    provider = provider or _provider(settings)
    sandbox = sandbox or ProcessRunner(CorpusImages(blobs, data_dir / "images"))
    ports = _ports(settings, SqliteJournal(database), SqliteCatalog(database), blobs, provider, sandbox)
    spool = data_dir / "spool" / new_session_id()
    rates = Database(data_dir / "rates.sqlite", RATES_SCHEMA, durable=False)
    return Wiring(
        settings,
        ports,
        ParserPool(workers=settings.parser_workers),
        database,
        spool,
        work=SqliteWork(database),
        keys=SqliteKeys(database),
        audit=SqliteAuditLog(database),
        idempotency=SqliteIdempotency(database),
        limiter=Limiter(settings.rate_limits(), SqliteRates(rates), ports.catalog),
        rates_database=rates,
    )


@asynccontextmanager
async def stored_keys(settings: Settings) -> AsyncIterator[tuple[Keys, str]]:
    """The keys of the data directory and their pepper, without the rest of the service."""
    database = Database(settings.rlm_data_dir / DATABASE_FILE)
    try:
        yield SqliteKeys(database), _pepper(settings)
    finally:
        await database.close()


def _ports(
    settings: Settings,
    journal: Journal,
    catalog: Catalog,
    blobs: Blobs,
    provider: ModelProvider,
    sandbox: Sandbox,
) -> Ports:
    prices, bucket = settings.prices(), settings.s3_bucket
    return Ports(
        log=EventLog(journal, blobs, bucket),
        blobs=blobs,
        catalog=catalog,
        provider=provider,
        sandbox=sandbox,
        completions=Completions(provider, blobs, prices, bucket),
        texts=DocumentTexts(blobs),
        bucket=bucket,
        concurrency=settings.tool_resolution_max_concurrency,
        subcall_max_tokens=settings.subcall_max_tokens,
        state_summary=settings.enable_root_state_summary,
        merge_gap_chars=settings.citation_merge_gap_chars,
        prices=prices,
        windows=settings.windows(),
    )


def _blobs(data_dir: Path) -> DirectoryBlobs:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return DirectoryBlobs(data_dir / "blobs")
    except OSError as error:
        raise SettingInvalid(
            variable="RLM_DATA_DIR",
            value=str(data_dir),
            reason=f"it cannot be written ({error.strerror}). Name another folder.",
        ) from error


def provider_name(settings: Settings) -> str:
    """The provider that is configured, or that a key is set for, or the offline policy."""
    if settings.llm_provider:
        return settings.llm_provider
    if settings.azure_openai_endpoint and settings.azure_openai_api_key:
        return "azure_openai"
    return "openai" if settings.openai_api_key or settings.openai_base_url else FAKE


def _provider(settings: Settings) -> ModelProvider:
    name = provider_name(settings)
    if name == FAKE:
        from rlm_rs.providers.fake import FakeProvider

        return FakeProvider()
    # the official SDK takes about two seconds to import
    from rlm_rs.providers.openai import OpenAIProvider

    return OpenAIProvider(_azure_config(settings) if name == "azure_openai" else _openai_config(settings))


def _openai_config(settings: Settings) -> OpenAIConfig:
    from rlm_rs.providers.openai import OpenAIConfig

    if settings.openai_api_key is None and settings.openai_base_url is None:
        raise SettingInvalid(variable="OPENAI_API_KEY", value="", reason="set it, or OPENAI_BASE_URL.")
    return OpenAIConfig(
        api_key=_secret(settings.openai_api_key), base_url=settings.openai_base_url, **_calling(settings)
    )


def _azure_config(settings: Settings) -> OpenAIConfig:
    from rlm_rs.providers.openai import DEFAULT_AZURE_API_VERSION, OpenAIConfig

    if settings.azure_openai_endpoint is None or settings.azure_openai_api_key is None:
        raise SettingInvalid(
            variable="AZURE_OPENAI_ENDPOINT",
            value=settings.azure_openai_endpoint or "",
            reason="set it and AZURE_OPENAI_API_KEY to use azure_openai.",
        )
    return OpenAIConfig(
        api_key=_secret(settings.azure_openai_api_key),
        azure_endpoint=settings.azure_openai_endpoint,
        azure_api_version=settings.openai_api_version or DEFAULT_AZURE_API_VERSION,
        **_calling(settings),
    )


def _calling(settings: Settings) -> dict[str, Any]:
    return {
        "timeout_seconds": settings.openai_timeout_seconds,
        "max_retries": settings.openai_max_retries,
        "use_responses": settings.openai_use_responses_api,
        "min_output_tokens": settings.subcall_min_completion_tokens,
    }


def _pepper(settings: Settings) -> str:
    return _secret(settings.api_key_pepper) or kept_pepper(settings.rlm_data_dir)


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""
