"""The package's modules, read once."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from source_tree import PACKAGE, Module

import rlm_rs


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    root = Path(rlm_rs.__file__).parent
    found = []
    for path in sorted(root.rglob("*.py")):
        parts = (PACKAGE, *path.relative_to(root).with_suffix("").parts)
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        source = path.read_text(encoding="utf-8")
        found.append(Module(path, name, source, ast.parse(source)))
    return found
