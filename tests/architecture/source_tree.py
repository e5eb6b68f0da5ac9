"""The package's modules as syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGE = "rlm_rs"
PARSER_SERVICE = f"{PACKAGE}.parser.service"
"""An entry point, whose name is promised: it wires what its neighbours may not know."""


@dataclass(frozen=True)
class Import:
    """One imported module, by its full name; whether it is imported later than its importer, or never."""

    name: str
    line: int
    in_function: bool
    for_types: bool


@dataclass(frozen=True)
class Module:
    """One file of the package. `part` is its first name below the package."""

    path: Path
    name: str
    source: str
    tree: ast.Module

    @property
    def part(self) -> str:
        if self.name == PARSER_SERVICE:
            return self.name.partition(".")[2]
        return self.name.split(".")[1] if "." in self.name else "__init__"

    @cached_property
    def imported(self) -> tuple[Import, ...]:
        return tuple(self.imports())

    def imports(self) -> Iterator[Import]:
        nodes = list(ast.walk(self.tree))
        functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
        late = _inside(node for node in nodes if isinstance(node, functions))
        typing = _inside(node for node in nodes if isinstance(node, ast.If) and _is_for_types(node))
        for node in nodes:
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            for name in _names(node):
                yield Import(name, node.lineno, id(node) in late, id(node) in typing)


def _inside(outer: Iterable[ast.AST]) -> set[int]:
    return {id(node) for tree in outer for node in ast.walk(tree)}


def _is_for_types(node: ast.If) -> bool:
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _names(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    assert node.module, "imports are absolute"
    assert not node.level, "imports are absolute"
    yield node.module
    if node.module.startswith(PACKAGE):
        # a member may be a module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
