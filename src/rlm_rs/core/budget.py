"""Budgets bound an execution; spend is what it used. Both are folds of nothing but the journal.

Every budget is a hard bound on ordinary work. Of time, tokens and money a tenth is kept back, so that a
best answer can still be asked for when the rest is used up; turns allow one extra for the same purpose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from rlm_rs.core.errors import ValidationFailed
from rlm_rs.core.model import Usage
from rlm_rs.sandbox.protocol import StepLimits

CHARS_PER_TOKEN = 4
MOST: dict[str, int] = {"max_depth": 16, "max_step_seconds": 86_400, "max_step_memory_mb": 1 << 20}
"""The highest values that can be kept: a child execution has its parent's id in its own, which names its
objects; a step's limits can only be lowered from those its process was born with."""
RESERVE_SHARE = 0.1
MAX_RESERVE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Budgets:
    """Bounds of one execution; times in seconds, sizes in characters. None: no bound.

    max_depth is how deep child executions may nest below this one: at 0 `rlm_query` becomes `llm_query`.
    """

    max_turns: int = 20
    max_total_seconds: float = 180.0
    max_step_seconds: float = 30.0
    max_spans_total: int = 2_000
    max_spans_per_step: int = 200
    max_tool_requests_per_step: int = 25
    max_llm_subcalls: int = 50
    max_llm_prompt_chars: int = 200_000
    max_total_llm_prompt_chars: int = 2_000_000
    max_stdout_chars: int = 15_000
    max_state_chars: int = 500_000
    max_total_tokens: int | None = None
    max_cost_usd: float | None = None
    max_depth: int = 1
    max_tool_calls: int = 100
    max_consecutive_errors: int = 5
    max_step_memory_mb: int = 512

    def merged(self, changes: Mapping[str, Any]) -> Budgets:
        """These budgets with some fields replaced. Raises `ValidationFailed` for a wrong name or value."""
        kinds = {f.name: str(f.type) for f in fields(self)}
        for name, value in changes.items():
            if name not in kinds:
                raise ValidationFailed(reason=f"no budget is called {name!r}; there are {', '.join(kinds)}")
            _check_value(name, kinds[name], value)
        return replace(self, **changes)

    def step_limits(self, spend: Spend) -> StepLimits:
        """What the next step may use, given what was used."""
        return StepLimits(
            seconds=max(0.1, min(self.max_step_seconds, self.max_total_seconds - spend.seconds)),
            memory_mb=self.max_step_memory_mb,
            stdout_chars=self.max_stdout_chars,
            max_spans=max(0, min(self.max_spans_per_step, self.max_spans_total - spend.spans)),
            max_tool_requests=self.max_tool_requests_per_step,
            prompt_chars=self.max_llm_prompt_chars,
            state_chars=self.max_state_chars,
        )


def _check_value(name: str, kind: str, value: Any) -> None:
    if value is None and "None" in kind:
        return
    most = MOST.get(name)
    if most is not None and isinstance(value, int | float) and value > most:
        raise ValidationFailed(reason=f"budget {name} must be at most {most:,}, not {value!r}")
    wanted = (int, float) if "float" in kind else (int,)
    least = (
        0
        if name in ("max_depth", "max_llm_subcalls", "max_tool_requests_per_step", "max_tool_calls")
        else 1e-9
    )
    if isinstance(value, bool) or not isinstance(value, wanted) or not least <= value < 1e15:
        number = ("a number" if "float" in kind else "a whole number") + (
            " above 0" if least else ", 0 or more"
        )
        raise ValidationFailed(reason=f"budget {name} must be {number}, not {value!r}")


@dataclass(frozen=True, slots=True)
class Spend:
    """What an execution used, its children's use included except for turns and seconds.

    turns counts this execution's own; child_turns those of its children. seconds is time at work, not
    the pause between a crash and the resume. cost_usd is None as soon as one price is unknown.
    """

    turns: int = 0
    child_turns: int = 0
    llm_subcalls: int = 0
    rlm_subcalls: int = 0
    searches: int = 0
    tool_calls: int = 0
    spans: int = 0
    prompt_chars: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cost_usd: float | None = 0.0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens

    def plus(self, other: Spend) -> Spend:
        """Both spends together; seconds stay those of `self`, since children run beside it."""
        sums = {
            f.name: getattr(self, f.name) + getattr(other, f.name)
            for f in fields(self)
            if f.name != "cost_usd"
        }
        unknown = self.cost_usd is None or other.cost_usd is None
        sums["cost_usd"] = None if unknown else (self.cost_usd or 0.0) + (other.cost_usd or 0.0)
        sums["seconds"] = self.seconds
        return Spend(**sums)


def of_completion(usage: Usage | None, cost_usd: float | None) -> Spend:
    """The spend of one completion."""
    usage = usage or Usage()
    return Spend(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        cost_usd=cost_usd,
    )


@dataclass(frozen=True, slots=True)
class Exhausted:
    """A budget that is used up: its name, its limit, and the status the execution ends with."""

    budget: str
    limit: float
    status: str

    def __str__(self) -> str:
        return f"{self.budget} is used up (limit {self.limit:g})"


def exhausted(budgets: Budgets, spend: Spend, consecutive_errors: int = 0) -> Exhausted | None:
    """The first budget that leaves no room for another ordinary root call, or None."""
    checks: Iterable[tuple[str, float, float | None, str]] = (
        ("max_turns", spend.turns, budgets.max_turns, "MAX_TURNS_EXCEEDED"),
        ("max_total_seconds", spend.seconds, working_seconds(budgets), "TIMEOUT"),
        ("max_total_tokens", spend.tokens, _ordinary(budgets.max_total_tokens), "BUDGET_EXCEEDED"),
        ("max_cost_usd", spend.cost_usd or 0.0, _ordinary(budgets.max_cost_usd), "BUDGET_EXCEEDED"),
        ("max_consecutive_errors", consecutive_errors, budgets.max_consecutive_errors, "BUDGET_EXCEEDED"),
    )
    for name, used, bound, status in checks:
        if bound is not None and used >= bound:
            return Exhausted(name, float(getattr(budgets, name)), status)
    return None


def working_seconds(budgets: Budgets) -> float:
    """Seconds for ordinary work: max_total_seconds less the reserve for a best answer."""
    return budgets.max_total_seconds - min(MAX_RESERVE_SECONDS, RESERVE_SHARE * budgets.max_total_seconds)


def _ordinary(bound: float | None) -> float | None:
    return None if bound is None else bound * (1 - RESERVE_SHARE)


def child_budgets(parent: Budgets, spend: Spend, siblings: int) -> Budgets:
    """What one of `siblings` child executions started together may use of what their parent has left.

    Tokens, money and sub-calls are divided among the siblings, so that together they cannot overspend (the
    call that starts a child is part of its share of sub-calls); turns and seconds are not divided (siblings
    run side by side) but never exceed what the parent has left.
    """
    seconds = max(0.1, working_seconds(parent) - spend.seconds)
    return replace(
        parent,
        max_turns=max(1, parent.max_turns - spend.turns),
        max_total_seconds=seconds,
        max_depth=parent.max_depth - 1,
        max_llm_subcalls=max(0, (parent.max_llm_subcalls - spend.llm_subcalls) // siblings - 1),
        max_tool_calls=max(0, (parent.max_tool_calls - spend.tool_calls) // siblings),
        max_total_llm_prompt_chars=max(
            1, (parent.max_total_llm_prompt_chars - spend.prompt_chars) // siblings
        ),
        max_total_tokens=_share(parent.max_total_tokens, spend.tokens, siblings),
        max_cost_usd=_money_share(parent.max_cost_usd, spend.cost_usd, siblings),
    )


def _share(bound: int | None, used: int, siblings: int) -> int | None:
    return None if bound is None else max(1, int((bound * (1 - RESERVE_SHARE) - used) // siblings))


def _money_share(bound: float | None, used: float | None, siblings: int) -> float | None:
    return None if bound is None else max(1e-9, (bound * (1 - RESERVE_SHARE) - (used or 0.0)) / siblings)
