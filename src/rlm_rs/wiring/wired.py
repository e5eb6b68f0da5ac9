"""Everything wired together, and what an entry point asks of it."""

from __future__ import annotations

import hmac
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from rlm_rs.core.corpus import Source
from rlm_rs.core.errors import SandboxFailed, ValidationFailed
from rlm_rs.core.execution import Models
from rlm_rs.core.ports import AuditLog, Idempotency, Keys, ModelProvider, Parser, StoredParser, Work
from rlm_rs.core.records import ApiKeyRecord, WorkKind
from rlm_rs.orchestrator.ingestion import Ingestion
from rlm_rs.orchestrator.keys import DEFAULT_SCOPES, check_key, create_key, good_key
from rlm_rs.orchestrator.limiter import Limiter
from rlm_rs.orchestrator.ports import Evaluator, Ports, Service
from rlm_rs.orchestrator.sessions import new_session_id
from rlm_rs.orchestrator.stored_parsing import LocalStoredParser
from rlm_rs.orchestrator.worker import Worker, WorkerLimits
from rlm_rs.parser.remote import RemoteStoredParser
from rlm_rs.runners.probe import Check, Examined, prove
from rlm_rs.settings import Settings
from rlm_rs.storage.database import sqlite_version
from rlm_rs.wiring.providers import DEFAULT_MODELS, FAKE
from rlm_rs.wiring.search import search_detail
from rlm_rs.wiring.sources import find_sources
from rlm_rs.wiring.spool import Spool
from rlm_rs.wiring.stores import Stores, pepper
from rlm_rs.wiring.tracing import Traced

if TYPE_CHECKING:
    from rlm_rs.telemetry.metrics import Metrics

WORKER_KINDS = {
    "all": (WorkKind.INGESTION, WorkKind.EXECUTION, WorkKind.EVALUATION),
    "ingestion": (WorkKind.INGESTION,),
    "orchestrator": (WorkKind.EXECUTION, WorkKind.EVALUATION),
    "none": (),
}


@dataclass(frozen=True, slots=True)
class Wiring:
    """Everything wired together. `close` ends every process and connection it started."""

    settings: Settings
    ports: Ports
    parser: Parser
    stores: Stores
    spooled: Spool
    limiter: Limiter
    tracing: Traced

    @property
    def spool(self) -> Path:
        """This process's temporary folder."""
        return self.spooled.folder()

    @property
    def work(self) -> Work:
        """What is waiting to be done."""
        return self.stores.work

    @property
    def keys(self) -> Keys:
        """API keys."""
        return self.stores.keys

    @property
    def audit(self) -> AuditLog:
        """Every mutating request."""
        return self.stores.audit

    @property
    def idempotency(self) -> Idempotency:
        """What requests with an Idempotency-Key were answered with."""
        return self.stores.idempotency

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
        return (await self._examined().start()).in_words()

    async def sandbox_proof(self) -> Sequence[Check]:
        """What was tried from inside a step, and whether it was refused. Raises `SandboxFailed`."""
        return await prove(self._examined())

    def _examined(self) -> Examined:
        if isinstance(self.ports.sandbox, Examined):
            return self.ports.sandbox
        raise SandboxFailed(reason="this kind of sandbox cannot be examined from inside")

    @property
    def search_detail(self) -> str:
        """What searches by words here, or what to install."""
        return search_detail(self.ports.search.index if self.ports.search else None)

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
        return find_sources(paths, spool, stdin)

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
        # structlog is the service's alone
        from rlm_rs.telemetry.logs import at_work, request_id

        return Service(
            ports=replace(self.ports, index_on_demand=False),
            evaluations=self.stores.evaluations,
            evaluator=self._evaluator(self.ports),
            evaluate_all=self.settings.enable_eval_judge,
            work=self.work,
            parser=self.stored_parser(),
            spool=self.spool,
            models=self.models,
            budgets=self.settings.budgets(),
            import_prefixes=self.settings.import_prefixes(),
            parsing=2 * self.settings.parser_workers,
            at_work=at_work,
            request_id=request_id,
            enable_search=self.settings.enable_search_default,
        )

    def _evaluator(self, ports: Ports) -> Evaluator:
        from rlm_rs.evaluation.evaluator import JudgedEvaluator

        settings = self.settings
        return JudgedEvaluator(ports, settings.eval_judge_model, baseline=settings.eval_baseline)

    def observed_service(self, metrics: Metrics) -> Service:
        """The same, with what is recorded and read in counted, and told in the log."""
        # structlog is the service's alone
        from rlm_rs.telemetry.logs import recorded

        self.ports.log.listen(metrics.heard)
        self.ports.log.watch(recorded)
        service = self.service()
        return replace(service, parser=metrics.measured(service.parser))

    def stored_parser(self) -> StoredParser:
        """The parser service where one is configured, else the parser of this process."""
        if self.settings.parser_service_url:
            # structlog is the service's alone
            from rlm_rs.telemetry.logs import request_id

            return RemoteStoredParser(self.settings.parser_service_url, request_id=request_id)
        return self.local_parser()

    async def parser_answers(self) -> str:
        """What parses the documents of sessions, in words. Raises `ParserFailed` if it is away."""
        parser = self.stored_parser()
        return await parser.examine() if isinstance(parser, RemoteStoredParser) else "in child processes here"

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
        return Path(tempfile.mkdtemp(dir=self.spool))

    def pepper(self) -> str:
        """The secret that API keys are hashed with. Raises `SettingInvalid` where there is none."""
        return pepper(self.settings)

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
            self.pepper(),
            tenant_id=tenant_id,
            name=name,
            scopes=scopes,
            expires_at=expires_at,
        )
        return key

    async def check_key(self, key: str) -> ApiKeyRecord:
        """The record of a key that is good now. Raises `Unauthorized`."""
        return await check_key(self.keys, self.pepper(), key)

    async def good_key(self, hashed: str) -> ApiKeyRecord:
        """The record of a key that is good now, by its hash. Raises `Unauthorized`."""
        return await good_key(self.keys, hashed)

    def secret_for(self, purpose: str) -> bytes:
        """A secret of this installation for one purpose, the same in each of its processes."""
        return hmac.digest(pepper(self.settings).encode(), f"purpose:{purpose}".encode(), "sha256")

    async def close(self, *, provider: bool = True) -> None:
        """End everything, in the reverse order of its making; provider: the model provider, too."""
        for close in self._endings(provider):
            await close()
        self.spooled.close()

    async def close_left(self, *, provider: bool = True) -> None:
        """The same on another event loop than the one it worked on, as far as it goes there."""
        for close in self._endings(provider):
            # transports and locks of that loop refuse; the process or connection behind has been ended
            with suppress(RuntimeError):
                await close()
        self.spooled.close()

    def _endings(self, provider: bool) -> list[Callable[[], Awaitable[None]]]:
        models = [self.ports.provider.close] if provider else []
        search = [self.ports.search.index.close] if self.ports.search is not None else []
        first = [self.ports.sandbox.close, self.parser.close, self.ports.tools.close]
        return [*first, *models, self.tracing.close, *search, self.stores.close]


def _models_of(provider: ModelProvider) -> Models | None:
    """The models a provider handed in by the caller plays, where it names them."""
    root, sub = getattr(provider, "root_model", None), getattr(provider, "sub_model", None)
    return Models(root, sub or root) if root else None
