"""What a completion costs and how much a model can read: list prices that an operator can replace.

Prices are the providers' published standard rates as of 2026-11-18, in US dollars per million tokens.
Batch, priority and regional rates, cache-write surcharges and taxes are not in them. A model that is
not listed has no price: its cost is unknown, never zero.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from rlm_rs.core.errors import SettingInvalid
from rlm_rs.core.model import Usage

PRICES_VARIABLE = "RLM_PRICES_JSON"
WINDOWS_VARIABLE = "MODEL_CONTEXT_WINDOWS_JSON"
FREE_PREFIXES = ("fake", "oracle", "scripted")

_V = TypeVar("_V")
_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens.

    cached_input None means that cached input costs as much as other input. A prompt of more than
    `long_from` input tokens is charged at `long_input` times both input rates and `long_output` times
    the output rate, for all of its tokens.
    """

    input: float
    output: float
    cached_input: float | None = None
    long_from: int | None = None
    long_input: float = 1.0
    long_output: float = 1.0

    def cost(self, usage: Usage) -> float:
        """US dollars for one completion."""
        long = self.long_from is not None and usage.input_tokens > self.long_from
        in_factor, out_factor = (self.long_input, self.long_output) if long else (1.0, 1.0)
        cached = min(usage.cached_input_tokens, usage.input_tokens)
        cached_rate = self.input if self.cached_input is None else self.cached_input
        inputs = (usage.input_tokens - cached) * self.input + cached * cached_rate
        return (inputs * in_factor + usage.output_tokens * self.output * out_factor) / 1_000_000


def _long(input: float, output: float, cached_input: float | None = None) -> Price:
    """A price with OpenAI's rate for prompts over 272,000 tokens."""
    return Price(input, output, cached_input, long_from=272_000, long_input=2.0, long_output=1.5)


PRICES: Mapping[str, Price] = MappingProxyType(
    {
        "gpt-6.2-astra": _long(8, 40, 0.4),
        "gpt-6.2-sol": _long(2, 10, 0.1),
        "gpt-6-astra": _long(10, 50, 1),
        "gpt-6.1-sol": _long(2, 10, 0.1),
        "gpt-6.1-terra": _long(1, 5, 0.05),
        "gpt-6-sol": _long(2, 10, 0.2),
        "gpt-6-luna": _long(0.1, 0.5, 0.01),
        "gpt-5.6-sol": _long(4, 20, 0.4),
        "gpt-5.6-terra": _long(2, 12, 0.2),
        "gpt-5.6-luna": _long(0.2, 1.2, 0.02),
        "gpt-5.5": _long(5, 30, 0.5),
        "gpt-5.5-pro": _long(30, 180),
        "gpt-5.4": _long(2.5, 15, 0.25),
        "gpt-5.4-pro": _long(30, 180),
        "gpt-5.4-mini": Price(0.75, 4.5, 0.075),
        "gpt-5.4-nano": Price(0.2, 1.25, 0.02),
        "gpt-5.3-codex": Price(1.75, 14, 0.175),
        "gpt-5.3-chat": Price(1.75, 14, 0.175),
        "gpt-5.2-chat": Price(1.75, 14, 0.175),
        "gpt-5.1-chat": Price(1.25, 10, 0.125),
        "gpt-5.2": Price(1.75, 14, 0.175),
        "gpt-5.2-codex": Price(1.75, 14, 0.175),
        "gpt-5.2-pro": Price(21, 168),
        "gpt-5.1": Price(1.25, 10, 0.125),
        "gpt-5.1-codex": Price(1.25, 10, 0.125),
        "gpt-5.1-codex-mini": Price(0.25, 2, 0.025),
        "gpt-5": Price(1.25, 10, 0.125),
        "gpt-5-chat": Price(1.25, 10, 0.125),
        "gpt-5-codex": Price(1.25, 10, 0.125),
        "gpt-5-mini": Price(0.25, 2, 0.025),
        "gpt-5-nano": Price(0.05, 0.4, 0.005),
        "gpt-5-pro": Price(15, 120),
        "gpt-4.1": Price(2, 8, 0.5),
        "gpt-4.1-mini": Price(0.4, 1.6, 0.1),
        "gpt-4.1-nano": Price(0.1, 0.4, 0.025),
        "gpt-4o": Price(2.5, 10, 1.25),
        "gpt-4o-2024-05-13": Price(5, 15),
        "gpt-4o-mini": Price(0.15, 0.6, 0.075),
        "gpt-4-turbo": Price(10, 30),
        "gpt-4": Price(30, 60),
        "gpt-3.5-turbo": Price(0.5, 1.5),
        "o4-mini": Price(1.1, 4.4, 0.275),
        "o3": Price(2, 8, 0.5),
        "o3-pro": Price(20, 80),
        "o3-mini": Price(1.1, 4.4, 0.55),
        "o1": Price(15, 60, 7.5),
        "o1-pro": Price(150, 600),
        "o1-mini": Price(1.1, 4.4, 0.55),
        "claude-fable-5-1": Price(10, 50, 0.25),
        "claude-fable-5": Price(10, 50, 1),
        "claude-opus-5-5": Price(4, 20, 0.2),
        "claude-opus-5": Price(5, 25, 0.5),
        "claude-opus-4-8": Price(5, 25, 0.5),
        "claude-opus-4-7": Price(5, 25, 0.5),
        "claude-opus-4-6": Price(5, 25, 0.5),
        "claude-opus-4-5": Price(5, 25, 0.5),
        "claude-opus-4-1": Price(15, 75, 1.5),
        "claude-opus-4": Price(15, 75, 1.5),
        "claude-sonnet-5-5": Price(2, 10, 0.1),
        "claude-sonnet-5": Price(2, 10, 0.2),
        "claude-sonnet-4-6": Price(3, 15, 0.3),
        "claude-sonnet-4-5": Price(3, 15, 0.3),
        "claude-sonnet-4": Price(3, 15, 0.3),
        "claude-3-7-sonnet": Price(3, 15, 0.3),
        "claude-3-5-sonnet": Price(3, 15, 0.3),
        "claude-haiku-5-5": Price(0.1, 0.5, 0.01, long_from=100_000, long_input=5.0, long_output=5.0),
        "claude-haiku-4-5": Price(1, 5, 0.1),
        "claude-3-5-haiku": Price(0.8, 4, 0.08),
        "claude-3-haiku": Price(0.25, 1.25, 0.03),
    }
)

_WINDOW_GROUPS: Mapping[int, str] = {
    1_050_000: "gpt-6.2-astra gpt-6.2-sol gpt-6-astra gpt-6.1-sol gpt-6.1-terra gpt-6-sol gpt-6-luna "
    "gpt-5.6-sol gpt-5.6-terra gpt-5.6-luna gpt-5.5 gpt-5.5-pro gpt-5.4 gpt-5.4-pro",
    1_047_576: "gpt-4.1 gpt-4.1-mini gpt-4.1-nano",
    1_000_000: "claude-fable-5-1 claude-fable-5 claude-opus-5-5 claude-opus-5 claude-opus-4-8 "
    "claude-opus-4-7 claude-opus-4-6 claude-sonnet-5-5 claude-sonnet-5 claude-sonnet-4-6 claude-haiku-5-5",
    400_000: "gpt-5.4-mini gpt-5.4-nano gpt-5.3-codex gpt-5.2 gpt-5.2-codex gpt-5.2-pro gpt-5.1 "
    "gpt-5.1-codex gpt-5.1-codex-mini gpt-5 gpt-5-codex gpt-5-mini gpt-5-nano gpt-5-pro",
    200_000: "o4-mini o3 o3-pro o3-mini o1 o1-pro claude-opus-4-5 claude-opus-4-1 claude-opus-4 "
    "claude-sonnet-4-5 claude-sonnet-4 claude-3-7-sonnet claude-3-5-sonnet claude-haiku-4-5 "
    "claude-3-5-haiku claude-3-haiku",
    128_000: "gpt-5.3-chat gpt-5.2-chat gpt-5.1-chat gpt-5-chat gpt-4o gpt-4o-mini gpt-4-turbo o1-mini",
    16_385: "gpt-3.5-turbo",
    8_192: "gpt-4",
}
CONTEXT_WINDOWS: Mapping[str, int] = MappingProxyType(
    {name: size for size, names in _WINDOW_GROUPS.items() for name in names.split()}
)

# what may follow a model's name without changing which model it is: a date, "latest", Bedrock's version
_SUFFIX = re.compile(r"(@\d{8}|-\d{4}-\d{2}-\d{2}|-\d{8}|-latest|-v\d+(:\d+)?)$")
_VENDOR = re.compile(r"^((us|eu|apac|jp|au|global)\.)?(anthropic|openai)\.")


def cost(
    model: str,
    usage: Usage | None,
    overrides: Mapping[str, Price] = _NONE,
    prices: Mapping[str, Price] = PRICES,
) -> float | None:
    """US dollars for one completion, or None where the price or the usage is not known.

    Offline models, whose names begin with "fake" or "scripted", cost 0.0 unless overridden.
    """
    price = _find(model, overrides) or (Price(0, 0) if _is_free(model) else _find(model, PRICES))
    if price is None:
        return None
    if usage is None:
        return 0.0 if price == Price(0, 0) else None
    return price.cost(usage)


def context_window(model: str, overrides: Mapping[str, int] = _NONE) -> int | None:
    """Tokens of input and output together that a model can take, or None for an unknown model."""
    return _find(model, overrides) or _find(model, CONTEXT_WINDOWS)


def parse_prices(text: str, variable: str = PRICES_VARIABLE) -> Mapping[str, Price]:
    """An operator's prices from JSON: `{"model": {"input": 1.25, "cached_input": 0.125, "output": 10}}`.

    Raises `SettingInvalid`, which names the variable and the model at fault.
    """
    return _parse(text, variable, _parse_price)


def parse_context_windows(text: str, variable: str = WINDOWS_VARIABLE) -> Mapping[str, int]:
    """Context windows from JSON: `{"model": 400000}`. Raises `SettingInvalid`."""
    return _parse(text, variable, _parse_window)


def _is_free(model: str) -> bool:
    return model.lower().startswith(FREE_PREFIXES)


def _find(model: str, table: Mapping[str, _V]) -> _V | None:
    """The entry for a model under its own name, or under the name without vendor, region and date."""
    for name in _names(model):
        if name in table:
            return table[name]
    return None


def _names(model: str) -> list[str]:
    plain = _VENDOR.sub("", model.lower().rsplit("/", 1)[-1])
    names = [model, model.lower(), plain]
    while (shorter := _SUFFIX.sub("", names[-1])) != names[-1]:
        names.append(shorter)
    return names


def _parse(text: str, variable: str, entry: Callable[[Any], _V]) -> Mapping[str, _V]:
    def refuse(reason: str) -> SettingInvalid:
        return SettingInvalid(variable=variable, value=text[:80], reason=reason)

    try:
        table = json.loads(text)
    except ValueError as error:
        raise refuse(f"not JSON ({error}).") from None
    if not isinstance(table, dict):
        raise refuse("it must be a JSON object with one entry per model.")
    try:
        return MappingProxyType({name: _named(name, entry, value) for name, value in table.items()})
    except ValueError as error:
        raise refuse(str(error)) from None


def _named(name: str, entry: Callable[[Any], _V], value: Any) -> _V:
    try:
        return entry(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _parse_price(value: Any) -> Price:
    if not isinstance(value, dict) or not {"input", "output"} <= value.keys() <= {
        "input",
        "output",
        "cached_input",
    }:
        raise ValueError('it must be {"input": …, "output": …} with "cached_input" if it differs.')
    rates = {field: _rate(field, rate) for field, rate in value.items()}
    return Price(rates["input"], rates["output"], rates.get("cached_input"))


def _rate(field: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1_000_000:
        raise ValueError(f"{field} must be dollars per million tokens, from 0 to 1000000.")
    return float(value)


def _parse_window(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("the context window must be a whole number of tokens, 1 or more.")
    return value
