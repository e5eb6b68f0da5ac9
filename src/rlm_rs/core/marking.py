"""Marks on a function that say what kind of custom tool it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_ATTRIBUTE = "__rlm_tool__"


@dataclass(frozen=True, slots=True)
class Marks:
    """name: what step code calls it. pure, version: see `tool`."""

    name: str | None = None
    pure: bool = False
    version: str | None = None


def tool(*, name: str | None = None, pure: bool = False, version: str | None = None) -> Callable[[F], F]:
    """Mark a function for `RLM(tools=[…])`; one that needs no mark is a tool as it is.

    name: what step code calls it, by default the function's own. pure: the same arguments always give the
    same result, which is then kept and given again. version: change it to forget the results kept; by default
    it is of the function's source.
    """

    def mark(function: F) -> F:
        setattr(function, _ATTRIBUTE, Marks(name, pure, version))
        return function

    return mark


def marks_of(function: Callable[..., Any]) -> Marks:
    """The marks of a function, if any."""
    found = getattr(function, _ATTRIBUTE, None)
    return found if isinstance(found, Marks) else Marks()
