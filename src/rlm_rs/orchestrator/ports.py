"""What the algorithms are given: every port and the few figures they share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from rlm_rs.core.ports import Blobs, Catalog, ModelProvider, Sandbox
from rlm_rs.core.pricing import Price
from rlm_rs.orchestrator.completions import Completions
from rlm_rs.orchestrator.event_log import EventLog
from rlm_rs.orchestrator.texts import DocumentTexts


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything an execution needs. concurrency bounds the sub-calls in flight of one execution.

    subcall_max_tokens: output tokens of a sub-call that names no limit of its own.
    prices, windows: what the operator says of models, before the built-in tables.
    """

    log: EventLog
    blobs: Blobs
    catalog: Catalog
    provider: ModelProvider
    sandbox: Sandbox
    completions: Completions
    texts: DocumentTexts
    bucket: str
    concurrency: int = 16
    subcall_max_tokens: int = 2048
    state_summary: bool = True
    merge_gap_chars: int = 0
    prices: Mapping[str, Price] = field(default_factory=dict)
    windows: Mapping[str, int] = field(default_factory=dict)
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(64))
