"""`state`: a JSON object kept between steps, made of what code put there or refused with the place named."""

from __future__ import annotations

import json
import math
from typing import Any

from rlm_rs.sandbox.limits import NESTING, StateInvalid, StateTooLarge
from rlm_rs.sandbox.output import readable
from rlm_rs.sandbox.protocol import RESERVED_STATE_KEYS, JsonObject

_LEAST, _GREATEST = -(1 << 63), (1 << 64) - 1


def opened(state: JsonObject) -> dict[str, Any]:
    """A copy of the state for code to change."""
    copied: dict[str, Any] = json.loads(json.dumps(state))
    return copied


def closed(state: Any, before: JsonObject, max_chars: int) -> dict[str, Any]:
    """The state to keep: what code made of it as JSON, with the reserved keys as they were before.

    Raises `StateInvalid` or `StateTooLarge`; the reserved keys do not count for the size.
    """
    if not isinstance(state, dict):
        raise StateInvalid(f"state must stay a dict; it is now {_a(state)}")
    own = {key: value for key, value in state.items() if key not in RESERVED_STATE_KEYS}
    kept: dict[str, Any] = as_json(own, "state")
    size = len(json.dumps(kept, ensure_ascii=False))
    if size > max_chars:
        raise StateTooLarge(
            f"state is {size:,} characters as JSON; at most {max_chars:,} are kept. {_largest(kept)}"
        )
    return kept | {key: value for key, value in before.items() if key in RESERVED_STATE_KEYS}


def _largest(state: dict[str, Any]) -> str:
    sizes = {key: len(json.dumps(value)) for key, value in state.items()}
    key = max(sizes, key=lambda name: sizes[name])
    return f"The largest is state[{key!r}] with {sizes[key]:,}: keep offsets, not text."


def as_json(value: Any, path: str) -> Any:
    """The value as plain JSON.

    Tuples and sets become lists (sets sorted), keys become str, lone surrogates U+FFFD. Raises
    `StateInvalid`, naming the place below `path`, for anything else JSON has no exact form for.
    """
    return _convert(value, path, ())


def _convert(value: Any, path: str, inside: tuple[int, ...]) -> Any:
    kind = type(value)  # not isinstance: a text view says it is a str, and is none
    if value is None or kind is bool:
        return value
    if issubclass(kind, str):
        return _text(value)
    if issubclass(kind, (int, float)):
        return _number(value, path)
    if not issubclass(kind, (dict, list, tuple, set, frozenset)):
        raise StateInvalid(f"{path} is {_a(value)}; state holds only JSON: text, numbers, lists and dicts")
    if id(value) in inside:
        raise StateInvalid(f"{path} contains itself")
    if len(inside) >= NESTING:
        raise StateInvalid(f"{path[:200]}… is nested more than {NESTING} deep")
    return _container(value, path, (*inside, id(value)))


def _text(value: str) -> str:
    return readable(str.__str__(value))


def _number(value: float, path: str) -> int | float:
    if isinstance(value, int):
        if not _LEAST <= value <= _GREATEST:
            raise StateInvalid(f"{path} is an integer beyond 64 bits; keep it as text, str({path})")
        return int(value)
    if not math.isfinite(value):
        raise StateInvalid(f"{path} is {value}; JSON has no such number, use None")
    return float(value)


def _container(value: Any, path: str, inside: tuple[int, ...]) -> Any:
    if isinstance(value, dict):
        return _object(value, path, inside)
    items = [_convert(item, f"{path}[{number}]", inside) for number, item in enumerate(value)]
    return _sorted(items) if isinstance(value, (set, frozenset)) else items


def _object(value: dict[Any, Any], path: str, inside: tuple[int, ...]) -> dict[str, Any]:
    converted: dict[str, Any] = {}
    for key, item in value.items():
        name = _text(key) if isinstance(key, str) else _key(key, path)
        if name in converted:
            raise StateInvalid(f"{path} has two keys that are both {name!r} as text")
        converted[name] = _convert(item, f"{path}[{json.dumps(name)}]", inside)
    return converted


def _key(key: Any, path: str) -> str:
    if not isinstance(key, (int, float, bool, tuple, type(None))):
        raise StateInvalid(f"{path} has a key that is {_a(key)}; keys are text")
    try:
        return str(key)
    except ValueError:
        raise StateInvalid(f"{path} has a key that is too long an integer") from None


def _sorted(items: list[Any]) -> list[Any]:
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=lambda item: (type(item).__name__, json.dumps(item)))


def _a(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
