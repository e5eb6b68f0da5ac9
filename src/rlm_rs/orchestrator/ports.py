"""What the algorithms are given: every port and the few figures they share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rlm_rs.core.budget import Budgets
from rlm_rs.core.errors import ToolFailed
from rlm_rs.core.execution import Models
from rlm_rs.core.ports import (
    Blobs,
    Catalog,
    Evaluations,
    ModelProvider,
    Sandbox,
    StoredParser,
    Tools,
    Work,
)
from rlm_rs.core.pricing import Price
from rlm_rs.core.records import EvaluationRecord, WorkItem
from rlm_rs.orchestrator.completions import Completions
from rlm_rs.orchestrator.event_log import EventLog
from rlm_rs.orchestrator.in_flight import InFlight
from rlm_rs.orchestrator.searches import Searches
from rlm_rs.orchestrator.signals import Signals
from rlm_rs.orchestrator.texts import DocumentTexts
from rlm_rs.sandbox.protocol import Final, ToolDescription


class AnswerSchemas(Protocol):
    """Holds answers to a JSON Schema."""

    def check(self, schema: Mapping[str, Any]) -> None:
        """Raise `ValidationFailed` for a schema that no answer is held to here."""

    def settled(self, schema: Mapping[str, Any], final: Final) -> Final | str:
        """The answer with the value that satisfies the schema, or in one line why it does not."""


class NoTools:
    """`core.ports.Tools` where there are none."""

    async def describe(self) -> Sequence[ToolDescription]:
        """Nothing."""
        return ()

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Always raises `ToolFailed`."""
        raise ToolFailed(tool=name, reason="there is no such tool here")

    async def close(self) -> None:
        """Nothing to end."""


NO_TOOLS = NoTools()


class Evaluator(Protocol):
    """Judges executions."""

    async def evaluate(self, record: EvaluationRecord) -> EvaluationRecord:
        """The record with the evaluation that is asked for; nothing is stored.

        Raises `ProviderFailed` if a provider is away for now.
        """


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything an execution needs. concurrency bounds the sub-calls in flight of one execution.

    subcall_max_tokens: output tokens of a sub-call that names no limit of its own.
    prices, windows: what the operator says of models, before the built-in tables.
    schemas: what holds answers to an output schema. tools: custom tools; tool_seconds: how long a call of one
    may take; calls: those under way. keep_traces: write the trace of each execution that ends; redact_traces:
    without its texts. search: where there is a search engine. index_on_demand: a search that finds no index
    builds it; where workers do that, it waits for them, at most index_wait_seconds.
    """

    log: EventLog
    blobs: Blobs
    catalog: Catalog
    provider: ModelProvider
    sandbox: Sandbox
    completions: Completions
    texts: DocumentTexts
    schemas: AnswerSchemas
    bucket: str
    concurrency: int = 16
    subcall_max_tokens: int = 2048
    state_summary: bool = True
    merge_gap_chars: int = 0
    prices: Mapping[str, Price] = field(default_factory=dict)
    windows: Mapping[str, int] = field(default_factory=dict)
    tools: Tools = NO_TOOLS
    tool_seconds: float = 60.0
    calls: InFlight[Any] = field(default_factory=InFlight)
    keep_traces: bool = True
    redact_traces: bool = False
    search: Searches | None = None
    index_on_demand: bool = True
    index_wait_seconds: float = 20.0
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(64))


def _not_noted(_item: WorkItem) -> None:
    """Nothing is logged."""


@dataclass(frozen=True, slots=True)
class Service:
    """The engine as a service for many tenants: what API and workers are given beside the ports.

    models: the models to use for a root and a sub model that were named or not; raises `ValidationFailed`.
    budgets: those of an execution where neither it nor its session says otherwise.
    import_prefixes: `s3://` prefixes that any tenant may take documents from, beside its own uploads.
    parsing: documents of one session parsed at the same time. enable_search: whether a session that does not
    say so gets a search index. evaluator: what evaluates executions; evaluate_all: also those whose request
    does not say so. at_work: told of each item before it is worked on, in the task that does; what is logged
    there names it. request_id: of the request that is being answered, empty outside of one.
    """

    ports: Ports
    work: Work
    parser: StoredParser
    spool: Path
    models: Callable[[str | None, str | None], Models]
    evaluations: Evaluations
    budgets: Budgets = Budgets()
    import_prefixes: tuple[str, ...] = ()
    parsing: int = 4
    evaluator: Evaluator | None = None
    evaluate_all: bool = False
    at_work: Callable[[WorkItem], None] = _not_noted
    request_id: Callable[[], str] = str
    enable_search: bool = False
    signals: Signals = field(default_factory=Signals)
