"""The diagram of docs/architecture.md is what the imports say.

Not drawn, because nearly every part has them: imports of `core` and `sandbox.protocol`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from source_tree import PACKAGE, Module

PAGE = Path(__file__).resolve().parents[2] / "docs/architecture.md"
PROTOCOL = "sandbox.protocol"
ALONE = (PROTOCOL, "parser.service", "api.views", "api.schemas", "api.shapes")
"""Modules that are nodes of their own."""

NOT_DRAWN = {"__main__", "version", "testing"}


@pytest.fixture(scope="module")
def drawn() -> set[tuple[str, str]]:
    """The arrows of the page's first diagram."""
    diagram = re.search(r"```mermaid\nflowchart LR\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert diagram
    labels = dict(re.findall(r"(\w+)\[([^]]*)\]", diagram[1]))
    arrows = re.findall(r"^\s*(\w+)(?:\[[^]]*\])? --> (\w+)(?:\[[^]]*\])?$", diagram[1], re.MULTILINE)
    return {(labels.get(a, a), labels.get(b, b)) for a, b in arrows}


@pytest.fixture(scope="module")
def imported(modules: list[Module]) -> set[tuple[str, str]]:
    """The same from the code."""
    known = {module.name for module in modules} - {PACKAGE, f"{PACKAGE}.sandbox"}
    arrows = {
        (part(module.name), part(found.name))
        for module in modules
        for found in module.imports()
        if found.name in known and module.name != PACKAGE
    }
    return {(a, b) for a, b in arrows if a != b and not {a, b} & NOT_DRAWN}


def part(module: str) -> str:
    """The node of the diagram that a module belongs to."""
    inner = module.removeprefix(f"{PACKAGE}.")
    return inner if inner in ALONE else inner.split(".")[0]


def test_every_arrow_is_an_import(drawn: set[tuple[str, str]], imported: set[tuple[str, str]]) -> None:
    assert drawn - imported == set()


def test_every_import_is_an_arrow(drawn: set[tuple[str, str]], imported: set[tuple[str, str]]) -> None:
    assert {(a, b) for a, b in imported - drawn if b not in ("core", PROTOCOL)} == set()
