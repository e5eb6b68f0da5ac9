"""The imports of the package are the arrows of docs/architecture.md, no more and no fewer.

Not drawn, because every part but the step program may: importing `core` and `sandbox.protocol`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "rlm_rs"
PROTOCOL = "sandbox.protocol"
FOR_ALL = {"core", PROTOCOL}
STEP_ENGINES = {"re2", "stringzilla"}


def modules(root: Path) -> dict[str, Path]:
    """Dotted name to file, for every module of the package."""
    source = root / "src"
    named = {}
    for path in (source / PACKAGE).rglob("*.py"):
        parts = path.relative_to(source).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return named


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Modules a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            members = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (member if member in known else node.module for member in members)


def part(module: str) -> str:
    """The node of the diagram that a module belongs to."""
    if module == f"{PACKAGE}.{PROTOCOL}":
        return PROTOCOL
    return module.split(".")[1] if "." in module else PACKAGE


def drawn_arrows(root: Path) -> set[tuple[str, str]]:
    """The arrows of the first diagram of the architecture page."""
    page = (root / "docs/architecture.md").read_text()
    diagram = re.search(r"```mermaid\nflowchart LR\n(.*?)```", page, re.DOTALL)
    assert diagram
    arrows = re.findall(r"^\s*(\w+)(?:\[[^]]*\])? --> (\w+)(?:\[[^]]*\])?$", diagram[1], re.MULTILINE)
    labels = dict(re.findall(r"(\w+)\[([^]]*)\]", diagram[1]))
    return {(labels.get(a, a), labels.get(b, b)) for a, b in arrows}


@pytest.fixture(scope="module")
def arrows(root: Path) -> dict[tuple[str, str], str]:
    """Every import between two parts, with one module that makes it.

    Left out: the package's own front door, its version, and what it ships for tests.
    """
    known = modules(root)
    found: dict[tuple[str, str], str] = {}
    for name, path in known.items():
        for imported in imports(path, known):
            if imported.partition(".")[0] == PACKAGE:
                found.setdefault((part(name), part(imported)), name)
    apart = {PACKAGE, "version", "testing", "__main__"}
    return {(a, b): by for (a, b), by in found.items() if a != b and not {a, b} & apart}


def test_every_import_is_an_arrow(root: Path, arrows: dict[tuple[str, str], str]) -> None:
    drawn = drawn_arrows(root)
    undrawn = {arrow: by for arrow, by in arrows.items() if arrow not in drawn}
    assert {(a, b): by for (a, b), by in undrawn.items() if a == "sandbox" or b not in FOR_ALL} == {}


def test_every_arrow_is_an_import(root: Path, arrows: dict[tuple[str, str], str]) -> None:
    assert drawn_arrows(root) - set(arrows) == set()


def test_nothing_of_the_product_imports_what_is_for_tests(root: Path) -> None:
    known = modules(root)
    users = {name for name, path in known.items() for m in imports(path, known) if part(m) == "testing"}
    assert {name for name in users if part(name) != "testing"} == set()


def test_no_modules_import_each_other_in_a_circle(root: Path) -> None:
    known = modules(root)
    left = {name: {m for m in at_import_time(path, known) if m in known} for name, path in known.items()}
    while free := [name for name, needed in left.items() if not needed & left.keys()]:
        for name in free:
            del left[name]
    assert left == {}


def at_import_time(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Modules a file imports when it is itself imported."""
    tree = ast.parse(path.read_bytes())
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            members = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (member if member in known else node.module for member in members)


def test_the_step_program_needs_the_standard_library_and_the_text_engines_only(root: Path) -> None:
    known = modules(root)
    step = {name: path for name, path in known.items() if name.startswith(f"{PACKAGE}.sandbox")}
    allowed = sys.stdlib_module_names | STEP_ENGINES
    strangers = {
        (name, imported)
        for name, path in step.items()
        for imported in imports(path, known)
        if imported.partition(".")[0] not in allowed and not imported.startswith(f"{PACKAGE}.sandbox")
    }
    assert strangers == set()
