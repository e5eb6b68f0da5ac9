"""Schemas as they are published. Every client pays for them in its context window, so they say no more than
they must."""

from __future__ import annotations

from typing import Any

SAYS_NOTHING = frozenset({"title", "exclusiveMaximum", "examples"})
NULL = {"type": "null"}
NAMES = frozenset({"properties", "$defs"})
"""Below these stand names, not keywords."""


def slim_input(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of arguments. That an optional one may also be null goes without saying."""
    slim: dict[str, Any] = _slim(schema, optional=True)
    return slim


def slim_output(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of results, which clients hold results to: it says no less than before."""
    slim: dict[str, Any] = _slim(schema, optional=False)
    return slim


def _slim(value: Any, *, optional: bool) -> Any:
    if isinstance(value, list):
        return [_slim(item, optional=optional) for item in value]
    if not isinstance(value, dict):
        return value
    whole = _without_null(value) if optional else value
    kept = {name: item for name, item in whole.items() if name not in SAYS_NOTHING}
    return {
        name: {inner: _slim(below, optional=optional) for inner, below in item.items()}
        if name in NAMES and isinstance(item, dict)
        else _slim(item, optional=optional)
        for name, item in kept.items()
    }


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    choices = schema.get("anyOf", [])
    if NULL not in choices or schema.get("default", NULL) is not None:
        return schema
    rest = [choice for choice in choices if choice != NULL]
    kept = {name: item for name, item in schema.items() if name not in ("anyOf", "default")}
    return {**kept, **rest[0]} if len(rest) == 1 else {**kept, "anyOf": rest}
