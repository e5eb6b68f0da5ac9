"""Prices and context windows: known names, names with dates and vendors, operators' overrides."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.core.errors import SettingInvalid, ValidationFailed
from rlm_rs.core.model import Usage
from rlm_rs.core.pricing import (
    CONTEXT_WINDOWS,
    PRICES,
    Price,
    context_window,
    cost,
    parse_context_windows,
    parse_prices,
)

MILLION = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
SMALL = Usage(input_tokens=1000, output_tokens=100)


def test_cost_is_the_list_price_per_million_tokens() -> None:
    assert cost("gpt-5", MILLION) == pytest.approx(11.25)


def test_cached_input_is_charged_at_its_own_rate() -> None:
    usage = Usage(input_tokens=1000, cached_input_tokens=800)
    assert cost("gpt-5", usage) == pytest.approx((200 * 1.25 + 800 * 0.125) / 1e6)


def test_cached_input_without_a_rate_costs_as_other_input() -> None:
    usage = Usage(input_tokens=1000, cached_input_tokens=800)
    assert cost("gpt-5-pro", usage) == pytest.approx(1000 * 15 / 1e6)


def test_a_long_prompt_is_charged_at_the_long_rate() -> None:
    usage = Usage(input_tokens=272_001, output_tokens=1000)
    assert cost("gpt-6-sol", usage) == pytest.approx((272_001 * 2 * 2 + 1000 * 10 * 1.5) / 1e6)


@pytest.mark.parametrize(
    "model", ["my-model", "gpt-5.99", "gpt-5-huge", "", "ft:gpt-4o-mini-2024-07-18:org::x"]
)
def test_an_unknown_model_has_no_cost(model: str) -> None:
    assert cost(model, SMALL) is None
    assert context_window(model) is None


@pytest.mark.parametrize("model", ["fake", "fake-root", "Fake-Sub", "scripted-root"])
def test_an_offline_model_is_free(model: str) -> None:
    assert cost(model, SMALL) == 0.0
    assert cost(model, None) == 0.0


def test_a_reply_without_usage_has_no_known_cost() -> None:
    assert cost("gpt-5", None) is None


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("gpt-5-2025-08-07", "gpt-5"),
        ("openai/gpt-4.1-mini", "gpt-4.1-mini"),
        ("GPT-4o", "gpt-4o"),
        ("gpt-5-chat-latest", "gpt-5-chat"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("claude-opus-4-5@20251101", "claude-opus-4-5"),
    ],
)
def test_dates_and_vendors_do_not_change_the_model(written: str, plain: str) -> None:
    assert cost(written, SMALL) == cost(plain, SMALL) is not None
    assert context_window(written) == context_window(plain) is not None


def test_a_dated_name_with_its_own_price_keeps_it() -> None:
    assert cost("gpt-4o-2024-05-13", MILLION) == pytest.approx(20.0)


@given(st.sampled_from(sorted(PRICES)))
def test_every_priced_model_has_a_context_window_and_sane_rates(model: str) -> None:
    price = PRICES[model]
    assert 0 < price.input < price.output
    assert price.cached_input is None or price.cached_input < price.input
    if model != "gpt-4o-2024-05-13":
        assert CONTEXT_WINDOWS[model] > 0


@given(
    st.sampled_from(sorted(PRICES)), st.integers(0, 10**7), st.integers(0, 10**6), st.integers(0, 2 * 10**7)
)
def test_cost_never_falls_below_zero_and_caching_never_raises_it(
    model: str, inputs: int, outputs: int, cached: int
) -> None:
    plain = cost(model, Usage(inputs, outputs))
    with_cache = cost(model, Usage(inputs, outputs, cached_input_tokens=cached))
    assert plain is not None
    assert with_cache is not None
    assert 0 <= with_cache <= plain + 1e-9


def test_an_override_adds_and_replaces_prices() -> None:
    text = '{"my-model": {"input": 1, "output": 2}, "gpt-5": {"input": 0, "cached_input": 0, "output": 0}}'
    overrides = parse_prices(text)
    assert overrides["my-model"] == Price(1.0, 2.0)
    assert cost("my-model", MILLION, overrides) == pytest.approx(3.0)
    assert cost("gpt-5-2025-08-07", MILLION, overrides) == 0.0
    assert cost("gpt-5-mini", MILLION, overrides) == pytest.approx(2.25)


def test_an_override_can_price_an_offline_model() -> None:
    assert cost("fake-root", MILLION, parse_prices('{"fake-root": {"input": 1, "output": 1}}')) == 2.0


@pytest.mark.parametrize(
    "value",
    [
        "5",
        "[1, 2]",
        '{"input": 1}',
        '{"input": 1, "output": -1}',
        '{"input": true, "output": 1}',
        '{"input": NaN, "output": 1}',
        '{"input": 1e999, "output": 1}',
        '{"input": 1, "output": 1, "cache": 1}',
        '{"input": "1", "output": 1}',
    ],
)
def test_a_wrong_price_names_the_variable_and_the_model(value: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        parse_prices(f'{{"my-model": {value}}}')
    assert "RLM_PRICES_JSON" in caught.value.message
    assert "my-model" in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null"])
def test_text_that_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(SettingInvalid, match="RLM_PRICES_JSON"):
        parse_prices(text)


def test_context_windows_can_be_overridden() -> None:
    windows = parse_context_windows('{"gpt-5": 1000, "mine": 32768}')
    assert context_window("gpt-5", windows) == 1000
    assert context_window("mine", windows) == 32768
    assert context_window("gpt-5-nano", windows) == 400_000


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "4", None])
def test_a_wrong_window_names_the_variable(value: object) -> None:
    with pytest.raises(SettingInvalid, match=r"MODEL_CONTEXT_WINDOWS_JSON.*mine"):
        parse_context_windows(json.dumps({"mine": value}))
