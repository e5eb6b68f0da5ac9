"""The diagrams of the docs name what is there: a message is a function that its sender calls."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

import rlm_rs
from rlm_rs.core.execution import Event

DOCS = Path(rlm_rs.__file__).parents[2] / "docs"
SEQUENCES = re.findall(
    r"```mermaid\nsequenceDiagram\n(.*?)```",
    (DOCS / "how_an_execution_works.md").read_text(),
    re.DOTALL,
)
PARTICIPANT = re.compile(r"participant (\w+) as ([\w.]+)$", re.MULTILINE)
MESSAGE = re.compile(r"^ *(\w+)->>(\w+): (\w+)(?: (\w+))?$", re.MULTILINE)
SERVICE = re.search(
    r"## The service\n.*?```mermaid\nflowchart TB\n(.*?)```",
    (DOCS / "architecture.md").read_text(),
    re.DOTALL,
)


def found(name: str) -> object:
    """The module or class that a dotted name below the package stands for."""
    try:
        return importlib.import_module(f"rlm_rs.{name}")
    except ModuleNotFoundError:
        module, _, member = name.rpartition(".")
        return getattr(importlib.import_module(f"rlm_rs.{module}"), member)


def functions(place: object) -> set[str]:
    """What can be called there: a class's methods, or a module's functions and those of its classes."""
    holders = [place]
    if isinstance(place, ModuleType):
        holders += [item for item in vars(place).values() if inspect.isclass(item)]
    return {name for holder in holders for name, item in vars(holder).items() if inspect.isfunction(item)}


def source(place: object) -> str:
    return inspect.getsource(place if isinstance(place, ModuleType) else inspect.getmodule(place))  # type: ignore[arg-type]


def messages() -> Iterator[tuple[str, str, str, str]]:
    """Sender, receiver, function and event of every message, participants by their full names."""
    for text in SEQUENCES:
        names = {"client": "client", **dict(PARTICIPANT.findall(text))}
        for sender, receiver, function, event in MESSAGE.findall(text):
            yield names[sender], names[receiver], function, event


def test_both_modes_are_drawn() -> None:
    assert len(SEQUENCES) == 2
    for text in SEQUENCES:
        assert text.count("->>") - len(MESSAGE.findall(text)) == text.count("-->>")


@pytest.mark.parametrize("message", sorted(set(messages())), ids=":".join)
def test_a_message_is_a_call(message: tuple[str, str, str, str]) -> None:
    sender, receiver, function, event = message
    assert function in functions(found(receiver))
    if sender != "client":
        assert re.search(rf"\b{function}\(", source(found(sender)))
        assert not event or re.search(rf"\b{event}\(|\b_?outcome\(|log\.{function}\(", source(found(sender)))
    assert not event or event in {kind.__name__ for kind in get_args(Event)}


def test_the_parts_of_the_service_are_there() -> None:
    assert SERVICE
    named = [name for name in re.findall(r"\[([\w.]+)[\]:]", SERVICE[1]) if "." in name or "_" in name]
    assert len(named) >= 9
    for name in named:
        assert found(name)
