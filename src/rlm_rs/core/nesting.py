"""How deep JSON from outside may be nested: what is deeper no encoder takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlm_rs.core.errors import ValidationFailed

MAX_NESTING = 100


def depth_of(value: Any) -> int:
    """How deep lists and objects are nested."""
    depth, level = 0, [value]
    while level:
        inner = [
            list(v.values()) if isinstance(v, Mapping) else v for v in level if isinstance(v, Mapping | list)
        ]
        level = [item for items in inner for item in items]
        depth += bool(inner)
    return depth


def check_nesting(name: str, value: Any) -> None:
    """Raise `ValidationFailed` for a value nested deeper than MAX_NESTING; `name` is what it is called."""
    if depth_of(value) > MAX_NESTING:
        raise ValidationFailed(reason=f"{name} is nested more than {MAX_NESTING} levels deep.")
