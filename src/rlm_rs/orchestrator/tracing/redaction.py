"""A trace without a word that anyone wrote or read: what is left is ids, codes, models, sizes, times, costs.

Anything not known to be harmless goes, so that a field added later is redacted until somebody says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlm_rs.orchestrator.tracing.building import sealed

REDACTED = "[REDACTED]"

_KEPT_TEXTS = frozenset(
    {
        *("schema_version", "execution_id", "session_id", "tenant_id", "parent_id", "child_id", "doc_id"),
        *("evaluation_id", "mode", "output_mode", "context_shape", "status", "ingest_status", "exhausted"),
        *("root_model", "sub_model", "model", "judge_model", "model_hint", "root_prompt_version", "role"),
        *("type", "code", "support", "mime_type", "finish_reason", "readiness_mode", "purpose"),
        *("baseline_status", "baseline_skip_reason", "skip_reason", "contexts_used"),
    }
)
"""Names whose texts say nothing of a question, a document or an answer."""

_WHOLE = frozenset({"value", "metadata", "filters", "output_schema", "details", "hits", "variables"})
"""Names whose values may be of any shape: nothing of them is left."""

_PLACES = frozenset({"span_log", "cites", "citations", "ref", "contexts"})
"""Names below which numbers say where in a document something was read."""

_BY_KEY = frozenset({"tool_status", "llm", "search", "state"})
"""Names of objects whose keys were chosen by step code."""


def redacted(trace: Mapping[str, Any]) -> dict[str, Any]:
    """The redacted trace, sealed anew."""
    return sealed({name: _redacted(value, name) for name, value in trace.items()})


def is_redacted(trace: Mapping[str, Any]) -> bool:
    """Whether a trace was redacted: then its question is."""
    return bool(trace["execution"]["question"] == REDACTED)


def _redacted(value: Any, name: str, hidden: bool = False) -> Any:
    if value is None:
        return None
    if name in _WHOLE:
        return REDACTED
    hidden = hidden or name in _PLACES
    if isinstance(value, Mapping):
        items = value.items()
        if name in _BY_KEY:
            return {f"key_{n}": _redacted(inner, "", hidden) for n, (_, inner) in enumerate(items)}
        return {key: _redacted(inner, key, hidden) for key, inner in items}
    if isinstance(value, list | tuple):
        return [_redacted(inner, "", hidden) for inner in value]
    if isinstance(value, str):
        return value if name in _KEPT_TEXTS else REDACTED
    return REDACTED if hidden and not isinstance(value, bool) else value
