"""Step code made ready to run: the last expression set apart, awaited sub-calls deferred."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from types import CodeType
from typing import Any

from rlm_rs.sandbox import policy
from rlm_rs.sandbox.failure import STEP_FILE

DEFERRABLE = frozenset(
    {
        "llm_query", "llm_query_batched", "batch_llm_query", "llm_batch", "rlm_query",
        "rlm_query_batched", "search",
    }
)  # fmt: skip
DEFERRED = "<deferred>"
"""The global that turns a call into its deferred form; no code can spell this name."""

_GATHERING = frozenset(
    {
        "gather", "create_task", "ensure_future", "wait_for", "as_completed", "wait",
        "run_until_complete", "run",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Program:
    """Compiled step code: its statements, and its last expression if it ends in one."""

    tree: ast.Module
    body: CodeType
    echo: CodeType | None


def program(code: str) -> Program:
    """Parse, check and compile. Raises SyntaxError and `Rejected`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(code, STEP_FILE)
        policy.check(tree)
        return _compiled(tree)


def _compiled(tree: ast.Module) -> Program:
    ready = deferring(tree)
    last = ready.body[-1] if ready.body else None
    if not isinstance(last, ast.Expr):
        return Program(tree, compiled(ready, STEP_FILE), None)
    body = ast.Module(ready.body[:-1], [])
    return Program(tree, compiled(body, STEP_FILE), compiled(ast.Expression(last.value), STEP_FILE))


def compiled(tree: ast.Module | ast.Expression, file: str) -> CodeType:
    """Compile a tree, `await` allowed at the top level."""
    mode = "eval" if isinstance(tree, ast.Expression) else "exec"
    code: CodeType = compile(tree, file, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    return code


def deferring(tree: ast.Module) -> ast.Module:
    """Change the tree so that sub-calls that are awaited or gathered are asked together.

    That is `await llm_query(…)`, the elements of the arguments of `asyncio.gather` and its kin, and those of
    a list that is later given to them. All other calls return at once.
    """
    if not any(isinstance(node, ast.Await) or _is_gathering(node) for node in ast.walk(tree)):
        return tree
    lists = {name for node in ast.walk(tree) if _is_gathering(node) for name in _listed(node)}
    _Deferring(lists).visit(tree)
    return ast.fix_missing_locations(tree)


class _Deferring(ast.NodeTransformer):
    def __init__(self, lists: set[str]) -> None:
        self._lists = lists

    def visit_Await(self, node: ast.Await) -> ast.AST:
        _defer(node.value)
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        if any(isinstance(target, ast.Name) and target.id in self._lists for target in node.targets):
            _defer(node.value)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _is_gathering(node) or self._appends(node):
            for argument in node.args:
                _defer(argument)
        return self.generic_visit(node)

    def _appends(self, node: ast.Call) -> bool:
        match node.func:
            case ast.Attribute(value=ast.Name(id=name), attr="append" | "extend"):
                return name in self._lists
        return False


def _is_gathering(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
            return name in _GATHERING
    return False


def _listed(node: Any) -> list[str]:
    plain = [argument.value if isinstance(argument, ast.Starred) else argument for argument in node.args]
    return [argument.id for argument in plain if isinstance(argument, ast.Name)]


def _defer(node: ast.expr) -> None:
    """Make a sub-call, or the sub-calls that are elements of a list, deferred ones."""
    match node:
        case ast.Call(func=ast.Name(id=name) as function) if name in DEFERRABLE:
            chooser = ast.Name(DEFERRED, ast.Load())
            node.func = ast.copy_location(ast.Call(chooser, [function], []), function)
        case ast.Starred(value=inner):
            _defer(inner)
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            for element in elements:
                _defer(element)
        case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element):
            _defer(element)
