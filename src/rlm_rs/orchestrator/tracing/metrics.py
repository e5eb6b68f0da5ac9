"""The figures of a trace: what was read and searched, what went wrong, what was asked, what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rlm_rs.core.budget import Spend, of_completion
from rlm_rs.core.execution import Run, SubcallResolved
from rlm_rs.core.spans import Range, is_scan, merge
from rlm_rs.sandbox.protocol import SpanEntry

CHILDREN = "child executions"


def metrics_of(run: Run) -> dict[str, Any]:
    """The seed's metrics and what an answer cost. Scans are what was searched and not read."""
    spans = [span for turn in run.turns if turn.step for span in turn.step.spans]
    steps = [turn.step for turn in run.turns if turn.step]
    return {
        "turns": run.spend.turns,
        "parse_errors": sum(turn.reply.problem is not None for turn in run.turns),
        "step_errors": sum(step.error is not None for step in steps),
        **_coverage(span for span in spans if not is_scan(span)),
        **{f"scan_{name}": value for name, value in _coverage(filter(is_scan, spans)).items()},
        "llm_subcalls": run.spend.llm_subcalls,
        "rlm_subcalls": run.spend.rlm_subcalls,
        "subcall_errors": sum(_failed(subcall) for turn in run.turns for subcall in turn.subcalls),
        "search_requests": run.spend.searches,
        "total_subcall_prompt_chars": run.spend.prompt_chars,
        "input_tokens": run.spend.input_tokens,
        "output_tokens": run.spend.output_tokens,
        "cached_input_tokens": run.spend.cached_input_tokens,
        "cost_usd": run.spend.cost_usd,
        "seconds": run.spend.seconds,
    }


def models_used(run: Run) -> dict[str, dict[str, Any]]:
    """Calls, tokens and cost by model; what child executions used stands under CHILDREN.

    cost_usd is None as soon as one price is unknown.
    """
    found: dict[str, list[tuple[bool, Spend]]] = {}
    for model, cache_hit, spend in _calls(run):
        found.setdefault(model, []).append((cache_hit, spend))
    return {model: _summed(calls) for model, calls in sorted(found.items())}


def _coverage(spans: Iterable[SpanEntry]) -> dict[str, int]:
    ranges = [
        Range(span.doc_index, span.start_char, span.end_char)
        for span in spans
        if span.end_char > span.start_char
    ]
    return {
        "span_chars": sum(place.length for place in ranges),
        "unique_span_chars": sum(place.length for place in merge(ranges)),
        "docs_touched": len({place.doc_index for place in ranges}),
        "max_span_chars": max((place.length for place in ranges), default=0),
    }


def _failed(subcall: SubcallResolved) -> bool:
    return subcall.result.status == "error"


def _calls(run: Run) -> Iterator[tuple[str, bool, Spend]]:
    for turn in run.turns:
        reply = turn.reply
        if reply.prompt_chars:
            yield reply.model, reply.cache_hit, of_completion(reply.usage, reply.cost_usd)
        for subcall in turn.subcalls:
            if subcall.child_id:
                yield CHILDREN, subcall.cache_hit, subcall.spend
            elif model := subcall.result.meta.get("model"):
                yield str(model), subcall.cache_hit, subcall.spend


def _summed(calls: list[tuple[bool, Spend]]) -> dict[str, Any]:
    total = Spend()
    for _, spend in calls:
        total = total.plus(spend)
    return {
        "calls": len(calls),
        "cache_hits": sum(cache_hit for cache_hit, _ in calls),
        "input_tokens": total.input_tokens,
        "output_tokens": total.output_tokens,
        "cached_input_tokens": total.cached_input_tokens,
        "cost_usd": total.cost_usd,
    }
