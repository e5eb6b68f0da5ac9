"""What a root call may still cost: bounds on tokens and money hold before a call is made, not after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rlm_rs.core.budget import CHARS_PER_TOKEN, Exhausted
from rlm_rs.core.execution import Run
from rlm_rs.core.model import Usage
from rlm_rs.core.pricing import Price, cost
from rlm_rs.core.prompts.render import RootPrompt

MIN_REPLY_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Room:
    """tokens: how long the reply may be, None for no bound. out: the budget that leaves no room for one."""

    tokens: int | None = None
    out: Exhausted | None = None


def room_for_reply(run: Run, prompt: RootPrompt, prices: Mapping[str, Price], share: float) -> Room:
    """What `share` of the budgets for tokens and money leaves for a reply to this prompt.

    The prompt's own tokens are an estimate, from its length.
    """
    asked = sum(len(message.content) for message in prompt.messages) // CHARS_PER_TOKEN + 1
    bounds = [*_by_tokens(run, asked, share), *_by_money(run, asked, prices, share)]
    tokens, out = min(bounds, key=lambda bound: bound[0], default=(None, None))
    if tokens is None:
        return Room()
    return Room(out=out) if tokens < MIN_REPLY_TOKENS else Room(tokens=tokens)


def _by_tokens(run: Run, asked: int, share: float) -> Iterator[tuple[int, Exhausted]]:
    bound = run.execution.budgets.max_total_tokens
    if bound is not None:
        left = int(bound * share) - run.spend.tokens - asked
        yield left, Exhausted("max_total_tokens", bound, "BUDGET_EXCEEDED")


def _by_money(
    run: Run, asked: int, prices: Mapping[str, Price], share: float
) -> Iterator[tuple[int, Exhausted]]:
    bound, model = run.execution.budgets.max_cost_usd, run.execution.models.root
    asking = cost(model, Usage(input_tokens=asked), prices)
    million = cost(model, Usage(output_tokens=1_000_000), prices)
    if bound is not None and asking is not None and million:
        left = bound * share - (run.spend.cost_usd or 0.0) - asking
        yield int(left / million * 1_000_000), Exhausted("max_cost_usd", bound, "BUDGET_EXCEEDED")
