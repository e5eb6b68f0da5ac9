"""RLM-RS: answers over document collections far larger than a model's context window, with citations.

Everything public is here and is loaded when it is first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rlm_rs.version import __version__

if TYPE_CHECKING:
    from rlm_rs.client.asking import AsyncClient
    from rlm_rs.client.blocking import Client
    from rlm_rs.core.answers import Answer, CheckedCitation, ExecutionFailed
    from rlm_rs.core.budget import Budgets, Spend
    from rlm_rs.core.errors import RlmError
    from rlm_rs.core.execution import (
        CancelRequested,
        Event,
        Finished,
        RootReplied,
        Started,
        StepRan,
        SubcallResolved,
    )
    from rlm_rs.core.marking import tool
    from rlm_rs.core.spans import SpanRef
    from rlm_rs.library import RLM, Session
    from rlm_rs.orchestrator.verifying import Verification

_HOMES = {
    "RLM": "rlm_rs.library",
    "Client": "rlm_rs.client.blocking",
    "AsyncClient": "rlm_rs.client.asking",
    "Session": "rlm_rs.library",
    "Answer": "rlm_rs.core.answers",
    "CheckedCitation": "rlm_rs.core.answers",
    "ExecutionFailed": "rlm_rs.core.answers",
    "Budgets": "rlm_rs.core.budget",
    "Spend": "rlm_rs.core.budget",
    "RlmError": "rlm_rs.core.errors",
    "SpanRef": "rlm_rs.core.spans",
    "tool": "rlm_rs.core.marking",
    "Verification": "rlm_rs.orchestrator.verifying",
    "Event": "rlm_rs.core.execution",
    "Started": "rlm_rs.core.execution",
    "RootReplied": "rlm_rs.core.execution",
    "StepRan": "rlm_rs.core.execution",
    "SubcallResolved": "rlm_rs.core.execution",
    "CancelRequested": "rlm_rs.core.execution",
    "Finished": "rlm_rs.core.execution",
}

__all__ = [
    "RLM",
    "Answer",
    "AsyncClient",
    "Budgets",
    "CancelRequested",
    "CheckedCitation",
    "Client",
    "Event",
    "ExecutionFailed",
    "Finished",
    "RlmError",
    "RootReplied",
    "Session",
    "SpanRef",
    "Spend",
    "Started",
    "StepRan",
    "SubcallResolved",
    "Verification",
    "__version__",
    "tool",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
