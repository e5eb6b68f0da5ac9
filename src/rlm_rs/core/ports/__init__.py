"""The ports: everything the orchestrator needs from the outside world, and nothing more.

Each port has a contract, a shipped test class in `rlm_rs.testing`, which every adapter passes.
"""

from __future__ import annotations

from rlm_rs.core.ports.engine import (
    Embedder,
    Fence,
    ModelProvider,
    Parser,
    Sandbox,
    SearchIndex,
    StoredParser,
    Tools,
)
from rlm_rs.core.ports.service import IDEMPOTENCY_SECONDS, AuditLog, Idempotency, Keys, Rates, Work
from rlm_rs.core.ports.stores import Blobs, Catalog, Evaluations, Journal, Links

__all__ = [
    "IDEMPOTENCY_SECONDS",
    "AuditLog",
    "Blobs",
    "Catalog",
    "Embedder",
    "Evaluations",
    "Fence",
    "Idempotency",
    "Journal",
    "Keys",
    "Links",
    "ModelProvider",
    "Parser",
    "Rates",
    "Sandbox",
    "SearchIndex",
    "StoredParser",
    "Tools",
    "Work",
]
