"""The size and manners of the files themselves."""

from __future__ import annotations

import ast
import statistics

from source_tree import Module

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "manager", "handler", "misc"}
START_UP = {"cli", "wiring", "__init__", "__main__"}


def _function_lines(module: Module) -> list[tuple[str, int]]:
    return [
        (f"{module.name}.{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_no_file_is_longer_than_one_can_hold_in_mind(modules: list[Module]) -> None:
    lengths = {module.name: module.source.count("\n") + 1 for module in modules}
    assert {name: length for name, length in lengths.items() if length > MAX_FILE_LINES + 1} == {}


def test_functions_are_short(modules: list[Module]) -> None:
    lengths = [found for module in modules for found in _function_lines(module)]
    assert [found for found in lengths if found[1] > MAX_FUNCTION_LINES] == []
    assert statistics.median(length for _, length in lengths) <= 10


def test_imports_stand_at_the_top_except_where_start_up_time_counts(modules: list[Module]) -> None:
    wrong = [
        f"{module.name}:{found.line} imports {found.name}"
        for module in modules
        if module.part not in START_UP
        for found in module.imported
        if found.in_function
    ]
    assert wrong == []


def test_no_module_has_a_name_that_says_nothing(modules: list[Module]) -> None:
    assert [module.name for module in modules if set(module.name.split(".")) & VAGUE] == []


def _is_broad(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {node.id for node in caught if isinstance(node, ast.Name)}
    return handler.type is None or bool(names & {"Exception", "BaseException"})


def _only_cleans_up(handler: ast.ExceptHandler) -> bool:
    """Whether it ends by raising: nothing is swallowed."""
    return isinstance(handler.body[-1], ast.Raise)


def _reason(module: Module, handler: ast.ExceptHandler) -> str:
    """The comment on the handler's line and the one below it."""
    lines = module.source.splitlines()[handler.lineno - 1 : handler.body[0].lineno]
    return " ".join(line.partition("#")[2].replace("noqa: BLE001", "") for line in lines).strip(" -()")


def test_a_broad_except_stands_where_a_process_or_step_code_ends_and_says_so(modules: list[Module]) -> None:
    wrong = []
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ExceptHandler) and _is_broad(node) and not _only_cleans_up(node):
                reason = _reason(module, node)
                if not reason or ("edge" not in reason and module.part != "sandbox"):
                    wrong.append(f"{module.name}:{node.lineno}")
    assert wrong == []


def test_every_module_says_what_it_is(modules: list[Module]) -> None:
    assert [module.name for module in modules if not ast.get_docstring(module.tree)] == []
