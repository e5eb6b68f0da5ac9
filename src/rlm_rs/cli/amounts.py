"""Numbers as people read them."""

from __future__ import annotations

from rlm_rs.core.budget import Spend


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 passage`, `12 passages`, `1,200 passages`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def seconds(value: float) -> str:
    """`3.1 s`, `42 s`, `2 min 5 s`, `3 h 10 min`."""
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 100:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 100:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def age(value: float) -> str:
    """How long ago, in one unit: `12 s`, `5 min`, `3 h`, `9 d`."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if value >= size:
            return f"{int(value // size)} {unit}"
    return f"{max(0, int(value))} s"


def cost(usd: float | None) -> str:
    """US dollars with cents, or two significant digits below a cent; empty when free."""
    if usd is None:
        return "cost unknown"
    if usd == 0:
        return ""
    return f"${usd:,.2f}" if usd >= 0.1 else f"${usd:.2g}" if usd >= 0.0001 else "under $0.0001"


def spent(spend: Spend) -> str:
    """Seconds, tokens and cost in one phrase; what is nothing is left out."""
    tokens = f"{spend.tokens:,} tokens" if spend.tokens else ""
    return ", ".join(part for part in (seconds(spend.seconds), tokens, cost(spend.cost_usd)) if part)


def between(before: Spend, after: Spend) -> Spend:
    """What was spent from one moment to a later one: seconds, tokens, cost."""
    unknown = before.cost_usd is None or after.cost_usd is None
    return Spend(
        input_tokens=after.input_tokens - before.input_tokens,
        output_tokens=after.output_tokens - before.output_tokens,
        cost_usd=None if unknown else (after.cost_usd or 0.0) - (before.cost_usd or 0.0),
        seconds=after.seconds - before.seconds,
    )
