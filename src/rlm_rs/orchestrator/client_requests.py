"""Sub-calls as clients write and read them: `{"llm": […], "search": […]}`, as steps queue them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlm_rs.core.budget import CHARS_PER_TOKEN, Budgets
from rlm_rs.core.errors import BudgetExceeded, ValidationFailed
from rlm_rs.core.nesting import check_nesting
from rlm_rs.core.wellformed import well_formed
from rlm_rs.sandbox.protocol import SubcallRequest

MAX_KEY_CHARS = 200
MAX_HITS = 1000
_LIMITS = ("max_tokens", "max_output_tokens", "max_output_chars")


def requests_of(
    tool_requests: Mapping[str, Sequence[Mapping[str, Any]]], budgets: Budgets
) -> tuple[SubcallRequest, ...]:
    """The requests a client sends.

    Raises `ValidationFailed`, and `BudgetExceeded` for what no step may ask.
    """
    unknown = tool_requests.keys() - {"llm", "search"}
    if unknown:
        raise ValidationFailed(reason=f"tool_requests has llm and search, not {sorted(unknown)[0]}.")
    requests = [_llm(item, budgets) for item in tool_requests.get("llm") or ()]
    requests += [_search(item) for item in tool_requests.get("search") or ()]
    keys = [request.key for request in requests]
    if len(set(keys)) < len(keys):
        raise ValidationFailed(reason="tool_requests: every key must be there once.")
    if len(keys) > budgets.max_tool_requests_per_step:
        raise BudgetExceeded(budget="max_tool_requests_per_step", limit=budgets.max_tool_requests_per_step)
    return tuple(requests)


def as_client_sees(requests: Sequence[SubcallRequest]) -> dict[str, list[dict[str, Any]]]:
    """The same the other way round."""
    return {
        "llm": [_llm_item(request) for request in requests if request.kind != "search"],
        "search": [_search_item(request) for request in requests if request.kind == "search"],
    }


def _llm(item: Mapping[str, Any], budgets: Budgets) -> SubcallRequest:
    prompt = _text(item, "prompt")
    if len(prompt) > budgets.max_llm_prompt_chars:
        raise BudgetExceeded(budget="max_llm_prompt_chars", limit=budgets.max_llm_prompt_chars)
    given = [name for name in _LIMITS if item.get(name) is not None]
    if len(given) > 1:
        raise ValidationFailed(reason=f"{given[0]} and {given[1]} are two limits of one reply: give one.")
    return SubcallRequest(
        key=_key(item),
        kind="llm",
        prompt=prompt,
        model=item.get("model_hint"),
        max_tokens=_tokens(item, given[0]) if given else None,
        temperature=_temperature(item),
        metadata=_nested(item, "metadata"),
    )


def _search(item: Mapping[str, Any]) -> SubcallRequest:
    k = _whole(item, "k") if item.get("k") is not None else 10
    if k > MAX_HITS:
        raise ValidationFailed(reason=f"k must be 1 to {MAX_HITS}, not {k}.")
    return SubcallRequest(
        key=_key(item), kind="search", prompt=_text(item, "query"), k=k, filters=_nested(item, "filters")
    )


def _key(item: Mapping[str, Any]) -> str:
    key = _text(item, "key")
    if not 0 < len(key) <= MAX_KEY_CHARS:
        raise ValidationFailed(reason=f"a tool request's key must have 1 to {MAX_KEY_CHARS} characters.")
    return key


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise ValidationFailed(reason=f"a tool request's {name} must be text.")
    return well_formed(value)


def _nested(item: Mapping[str, Any], name: str) -> Any:
    check_nesting(f"a tool request's {name}", item.get(name))
    return item.get(name)


def _whole(item: Mapping[str, Any], name: str) -> int:
    value = item[name]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**9:
        raise ValidationFailed(reason=f"a tool request's {name} must be a whole number above 0.")
    return value


def _tokens(item: Mapping[str, Any], limit: str) -> int:
    count = _whole(item, limit)
    return max(1, count // CHARS_PER_TOKEN) if limit == "max_output_chars" else count


def _temperature(item: Mapping[str, Any]) -> float:
    value = item.get("temperature") or 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2:
        raise ValidationFailed(reason="a tool request's temperature must be a number from 0 to 2.")
    return float(value)


def _llm_item(request: SubcallRequest) -> dict[str, Any]:
    return {
        "type": request.kind,
        "key": request.key,
        "prompt": request.prompt,
        "model_hint": request.model or "sub",
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "metadata": request.metadata,
    }


def _search_item(request: SubcallRequest) -> dict[str, Any]:
    return {
        "type": "search",
        "key": request.key,
        "query": request.prompt,
        "k": request.k,
        "filters": request.filters,
    }
