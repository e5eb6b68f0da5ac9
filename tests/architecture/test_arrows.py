"""Which part may import which: the border that keeps the algorithm free of adapters and frameworks."""

from __future__ import annotations

import sys

from source_tree import PACKAGE, PARSER_SERVICE, Module

CORE = {"core", "sandbox.protocol", "version"}
APPLICATION = CORE | {"orchestrator", "wiring", "settings", "health", "library", "telemetry", "waiting"}
ADAPTERS = {"parser", "storage", "providers", "runners", "search", "tools"}
QUALITY = {"evaluation", "finetune"}

# the step protocol, alone of the sandbox; what is sent and answered, alone of the API
SHOWN = ("sandbox.protocol", "api.views", "api.schemas", "api.shapes")

# part: (parts of the package it may import, distributions it may import; None: any)
ALLOWED: dict[str, tuple[set[str], set[str] | None]] = {
    "sandbox": (set(), {"re2", "stringzilla"}),
    # typing_extensions for the type checker alone
    "core": ({"sandbox.protocol"}, {"typing_extensions"}),
    "orchestrator": (CORE, {"pydantic", "orjson", "jsonschema", "referencing", "re2"}),
    "parser": (CORE | {"sandbox"}, None),
    "storage": (CORE | {"sandbox"}, None),
    "providers": (CORE | {"sandbox"}, None),
    "runners": (CORE | {"sandbox"}, None),
    "tools": (CORE, None),
    "settings": (CORE, {"pydantic", "pydantic_settings"}),
    "wiring": (APPLICATION | ADAPTERS | {"sandbox", "evaluation"}, {"pydantic"}),
    "health": (APPLICATION, set()),
    "deployment": (APPLICATION, set()),
    "library": (APPLICATION, set()),
    "waiting": (set(), set()),
    "client": (APPLICATION | {"api.views"}, {"httpx2", "pydantic", "orjson"}),
    "cli": (
        APPLICATION | {"api", "client", "deployment", "mcp", "suites", "ui"} | QUALITY,
        {"click", "rich"},
    ),
    "api": (
        APPLICATION | {"mcp", "ui"},
        {"fastapi", "fastapi_offline", "starlette", "uvicorn", "pydantic", "orjson"},
    ),
    "ui": (CORE | {"orchestrator"}, {"orjson"}),
    "mcp": (
        APPLICATION | {"api.views", "api.schemas", "api.shapes", "client"},
        {"mcp", "mcp_types", "anyio", "starlette", "pydantic", "orjson"},
    ),
    "worker_entrypoint": (APPLICATION, set()),
    "parser.service": (APPLICATION | {"parser"}, {"fastapi", "pydantic"}),
    "telemetry": (CORE, None),
    "evaluation": (CORE | {"orchestrator"}, {"pydantic", "orjson"}),
    "finetune": (CORE | {"orchestrator"}, {"pydantic", "orjson"}),
    "suites": (APPLICATION | {"evaluation"}, {"pydantic", "markdown_it", "inspect_ai"}),
    "search": (CORE | {"sandbox"}, None),
    "testing": (APPLICATION | ADAPTERS | QUALITY | {"sandbox"}, {"pytest"}),
    "version": (set(), set()),
    "__main__": ({"cli"}, set()),
    "__init__": ({"version", "client", "core", "library", "orchestrator"}, set()),
}


def _target(name: str) -> str:
    """`core` of `rlm_rs.core.spans`; what a part shows to others may be a part of its own."""
    inner = name.removeprefix(f"{PACKAGE}.")
    if name == PARSER_SERVICE:
        return inner
    return next((shown for shown in SHOWN if inner.startswith(shown)), inner.split(".")[0])


def test_every_part_has_its_rule(modules: list[Module]) -> None:
    assert {module.part for module in modules} <= ALLOWED.keys()


def test_parts_import_only_what_they_may(modules: list[Module]) -> None:
    parts = {module.part for module in modules}
    wrong = [
        f"{module.name}:{found.line} imports {found.name}"
        for module in modules
        for found in module.imported
        if found.name.startswith(f"{PACKAGE}.")
        and _target(found.name) in parts | set(SHOWN)
        and _target(found.name).split(".")[0] != module.part.split(".")[0]
        and _target(found.name) not in ALLOWED[module.part][0]
        # naming the package that stands around what is shown
        and found.name not in (f"{PACKAGE}.sandbox", f"{PACKAGE}.api")
    ]
    assert wrong == []


def test_parts_import_only_the_distributions_they_may(modules: list[Module]) -> None:
    wrong = []
    for module in modules:
        allowed = ALLOWED[module.part][1]
        for found in module.imported:
            top = found.name.split(".")[0]
            if top in sys.stdlib_module_names or top == PACKAGE or allowed is None or top in allowed:
                continue
            wrong.append(f"{module.name}:{found.line} imports {top}")
    assert wrong == []


def test_nothing_of_the_product_imports_what_is_shipped_for_tests(modules: list[Module]) -> None:
    wrong = [
        f"{module.name}:{found.line}"
        for module in modules
        for found in module.imported
        if found.name.startswith(f"{PACKAGE}.testing") and module.part != "testing"
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle(modules: list[Module]) -> None:
    known = {module.name for module in modules}
    left = {
        module.name: {
            found.name
            for found in module.imported
            if found.name in known and not found.in_function and not found.for_types
        }
        - {module.name}
        for module in modules
        if module.name != PACKAGE
    }
    # importing a module imports the packages it stands in, which hold nothing but a docstring
    left = {name: {target for target in targets if target in left} for name, targets in left.items()}
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:
            del left[name]
    assert left == {}
