"""Step code made ready to run: the last expression set apart, awaited sub-calls deferred."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

from rlm_rs.sandbox import policy
from rlm_rs.sandbox.failure import STEP_FILE

DEFERRED = "<deferred>"
"""The global that turns a tool into its deferred form, and nothing else; no code can spell this name."""

_GATHERING = frozenset({"gather", "create_task", "ensure_future", "wait_for", "as_completed"})
_OF_ASYNCIO = _GATHERING | {"run", "wait"}
_OF_ANYTHING = frozenset({"create_task", "ensure_future", "run_until_complete"})


@dataclass(frozen=True, slots=True)
class Program:
    """Compiled step code: its statements, and its last expression if it ends in one.

    nodes: all nodes of its tree, outer ones first, the module itself being the first.
    """

    nodes: Sequence[ast.AST]
    body: CodeType
    echo: CodeType | None


def program(code: str) -> Program:
    """Parse, check and compile. Raises SyntaxError and `Rejected`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(code, STEP_FILE)
        nodes = tuple(ast.walk(tree))
        policy.check(nodes)
        defer(tree, nodes)
        return _compiled(tree, nodes)


def _compiled(tree: ast.Module, nodes: Sequence[ast.AST]) -> Program:
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        return Program(nodes, compiled(tree, STEP_FILE), None)
    body = ast.Module(tree.body[:-1], [])
    return Program(nodes, compiled(body, STEP_FILE), compiled(ast.Expression(last.value), STEP_FILE))


def recompiled(source: str, file: str) -> CodeType:
    """Compile the source of a kept definition."""
    tree = ast.parse(source)
    defer(tree, tuple(ast.walk(tree)))
    return compiled(tree, file)


def compiled(tree: ast.Module | ast.Expression, file: str) -> CodeType:
    """Compile a tree, `await` allowed at the top level."""
    mode = "eval" if isinstance(tree, ast.Expression) else "exec"
    code: CodeType = compile(tree, file, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    return code


def defer(tree: ast.Module, nodes: Sequence[ast.AST]) -> None:
    """Change the tree so that sub-calls that are awaited or gathered are asked together.

    That is `await llm_query(…)`, the elements of the arguments of `asyncio.gather` and its kin, and those of
    a list that is later given to them. All other calls return at once.
    """
    gathering = [node for node in nodes if _is_gathering(node)]
    if gathering or any(isinstance(node, ast.Await) for node in nodes):
        _Deferring({name for node in gathering for name in _listed(node)}).visit(tree)
        ast.fix_missing_locations(tree)


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
    """Whether it is a call that takes awaitables."""
    if not isinstance(node, ast.Call):
        return False
    match node.func:
        case ast.Name(id=name):
            return name in _GATHERING
        case ast.Attribute(value=ast.Name(id="asyncio"), attr=name):
            return name in _OF_ASYNCIO
        case ast.Attribute(attr=name):
            return name in _OF_ANYTHING
    return False


def _listed(node: Any) -> list[str]:
    plain = [argument.value if isinstance(argument, ast.Starred) else argument for argument in node.args]
    return [argument.id for argument in plain if isinstance(argument, ast.Name)]


def _defer(node: ast.expr) -> None:
    """Make a sub-call, or the sub-calls that are elements of a list, deferred ones."""
    match node:
        case ast.Call(func=ast.Name() as function):
            chooser = ast.Name(DEFERRED, ast.Load())
            node.func = ast.copy_location(ast.Call(chooser, [function], []), function)
        case ast.Starred(value=inner):
            _defer(inner)
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            for element in elements:
                _defer(element)
        case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element):
            _defer(element)
