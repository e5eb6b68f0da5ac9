"""Where things are kept: one set of stores for each profile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rlm_rs.core.errors import SettingInvalid
from rlm_rs.core.ports import AuditLog, Blobs, Catalog, Evaluations, Idempotency, Journal, Keys, Rates, Work
from rlm_rs.settings import Settings
from rlm_rs.storage.blobs import DirectoryBlobs
from rlm_rs.storage.database import Database
from rlm_rs.storage.pepper import kept_pepper
from rlm_rs.storage.sqlite import SqliteCatalog, SqliteJournal
from rlm_rs.storage.sqlite_evaluations import SqliteEvaluations
from rlm_rs.storage.sqlite_keys import SqliteAuditLog, SqliteKeys
from rlm_rs.storage.sqlite_limits import RATES_SCHEMA, SqliteIdempotency, SqliteRates
from rlm_rs.storage.sqlite_work import SqliteWork
from rlm_rs.wiring.providers import secret
from rlm_rs.wiring.secrets import needs_aws_parts, with_secrets

DATABASE_FILE = "rlm.sqlite"
RATES_FILE = "rates.sqlite"


@dataclass(frozen=True, slots=True)
class Stores:
    """Every port that keeps something. closing: what ends their connections."""

    journal: Journal
    catalog: Catalog
    blobs: Blobs
    work: Work
    keys: Keys
    audit: AuditLog
    idempotency: Idempotency
    rates: Rates
    evaluations: Evaluations
    closing: tuple[Callable[[], Awaitable[None]], ...] = ()

    async def close(self) -> None:
        """End every connection."""
        for close in self.closing:
            await close()


def make_stores(settings: Settings) -> Stores:
    """The stores of the profile in force. Raises `SettingInvalid`."""
    if settings.profile() == "aws":
        with needs_aws_parts("RLM_PROFILE"):
            from rlm_rs.wiring.aws import aws_stores

        return aws_stores(settings)
    return embedded_stores(settings)


def embedded_stores(settings: Settings) -> Stores:
    """One data directory, nothing to start. Raises `SettingInvalid` if it cannot be written."""
    data_dir = settings.rlm_data_dir
    blobs = _directory_blobs(data_dir)
    database = Database(data_dir / DATABASE_FILE)
    rates = Database(data_dir / RATES_FILE, RATES_SCHEMA, durable=False)
    return Stores(
        journal=SqliteJournal(database),
        catalog=SqliteCatalog(database),
        blobs=blobs,
        work=SqliteWork(database),
        keys=SqliteKeys(database),
        audit=SqliteAuditLog(database),
        idempotency=SqliteIdempotency(database),
        rates=SqliteRates(rates),
        evaluations=SqliteEvaluations(database),
        closing=(database.close, rates.close),
    )


@asynccontextmanager
async def stored_keys(settings: Settings) -> AsyncIterator[tuple[Keys, str]]:
    """The keys and their pepper, without the rest of the service."""
    settings = with_secrets(settings)
    stores = make_stores(settings)
    try:
        yield stores.keys, pepper(settings)
    finally:
        await stores.close()


def pepper(settings: Settings) -> str:
    """The secret that API keys are hashed with: as configured, else the data directory's own.

    Raises `SettingInvalid` where processes on several machines would each have their own.
    """
    if settings.api_key_pepper is None and settings.profile() == "aws":
        raise SettingInvalid(
            variable="API_KEY_PEPPER",
            value="",
            reason="all processes of the aws profile share it: set it, or API_KEY_PEPPER_SECRET_ARN.",
        )
    return secret(settings.api_key_pepper) or kept_pepper(settings.rlm_data_dir)


def _directory_blobs(data_dir: Path) -> DirectoryBlobs:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return DirectoryBlobs(data_dir / "blobs")
    except OSError as error:
        raise SettingInvalid(
            variable="RLM_DATA_DIR",
            value=str(data_dir),
            reason=f"it cannot be written ({error.strerror}). Name another folder.",
        ) from error
