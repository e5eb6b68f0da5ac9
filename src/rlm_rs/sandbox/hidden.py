"""Attributes that step code cannot name.

A slot whose descriptor is taken off its class still holds a value, but no attribute name reaches it. This
keeps honest mistakes and ordinary trickery away from the span log. It is not a security boundary: code
that escapes Python inside the process can change anything in it, and could then lie about what it read. It
cannot cite text that is not there, because the host recomputes every citation from the stored documents.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def conceal(owner: type, name: str) -> tuple[Callable[[Any], Any], Callable[[Any, Any], None]]:
    """Take the slot `name` off its class; returns the functions that read and write it."""
    slot = owner.__dict__[name]
    delattr(owner, name)
    return slot.__get__, slot.__set__
