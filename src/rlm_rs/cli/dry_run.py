"""What an ask would begin with, on standard output."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import Any

from rlm_rs.cli.amounts import cost, count
from rlm_rs.cli.streams import say, say_json
from rlm_rs.orchestrator.executions import Plan

WIDTH = 100
MARGIN = " " * 14


def say_plan(plan: Plan, *, as_json: bool) -> None:
    """Models, budgets, the first prompt and what reading it costs."""
    if as_json:
        say_json(plan_dict(plan))
        return
    execution = plan.execution
    limits = [f"{name} {value:g}" for name, value in asdict(execution.budgets).items() if value is not None]
    price = cost(plan.cost_usd) or "no cost"
    say(f"question      {execution.question}")
    say(f"session       {execution.session_id}")
    say(f"models        root {execution.models.root}, sub {execution.models.sub}")
    say(textwrap.fill(", ".join(limits), WIDTH, initial_indent="budgets       ", subsequent_indent=MARGIN))
    say(f"first prompt  about {count(plan.input_tokens, 'token')}, {price} to read")
    for message in plan.messages:
        say(f"\n--- {message.role}\n{message.content}")


def plan_dict(plan: Plan) -> dict[str, Any]:
    """The JSON object of `rlm ask --dry-run --json`."""
    execution = plan.execution
    return {
        "question": execution.question,
        "session_id": execution.session_id,
        "models": {"root_model": execution.models.root, "sub_model": execution.models.sub},
        "budgets": asdict(execution.budgets),
        "output_mode": execution.output_mode,
        "context_shape": execution.context_shape,
        "input_tokens": plan.input_tokens,
        "cost_usd": plan.cost_usd,
        "messages": [asdict(message) for message in plan.messages],
    }
