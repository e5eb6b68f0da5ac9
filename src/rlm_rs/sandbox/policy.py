"""What step code may not say, found before it runs, so that the model learns at once what to say instead.

This is guidance and not the boundary: the process around the step is. So it refuses only what could not work
or what reaches into the interpreter, and leaves the rest of Python alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from rlm_rs.sandbox.failure import Rejected
from rlm_rs.sandbox.modules import importable, refusal

INSTEAD = {
    "open": "there are no files here; read a document with context[i][start:end]",
    "input": "nobody can answer here; decide in code, or finish with FINAL(...)",
    "eval": "write the expression itself, or use ast.literal_eval or json.loads for data",
    "exec": "write the statements themselves",
    "compile": "write the code itself; for patterns use re.compile",
    "__import__": "use an import statement",
    "breakpoint": "there is no debugger here; print what you need to see",
    "help": "print(doc) or tool.schema() tell what there is",
}

INTERNALS = frozenset(
    {
        "__globals__", "__closure__", "__code__", "__builtins__", "__subclasses__", "__mro__",
        "__bases__", "__base__", "__loader__", "__spec__", "__traceback__", "__self__", "__func__",
        "__wrapped__", "__reduce__", "__reduce_ex__", "__getstate__", "__getattribute__",
        "__defaults__", "__kwdefaults__", "__match_args__", "__import__", "mro", "gi_frame", "gi_code",
        "gi_yieldfrom",
        "cr_frame", "cr_code", "cr_await", "ag_frame", "ag_code", "ag_await", "f_back", "f_builtins",
        "f_code", "f_globals", "f_locals", "tb_frame", "tb_next",
    }
)  # fmt: skip


def check(nodes: Sequence[ast.AST]) -> None:
    """Raise `Rejected` at the first thing the policy refuses among all nodes of a tree."""
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if name in INSTEAD and name not in _bound_names(nodes):
                raise Rejected(f"{name} is not available: {INSTEAD[name]}.", node.lineno)
            case ast.Attribute(attr=name) | ast.Name(id=name) if name in INTERNALS:
                raise _internal(name, node.lineno)
            case ast.MatchClass(kwd_attrs=names):
                for name in INTERNALS.intersection(names):
                    raise _internal(name, node.lineno)
            case ast.Import() | ast.ImportFrom():
                _check_import(node, nodes)


def _internal(name: str, line: int) -> Rejected:
    return Rejected(f"the attribute {name} belongs to the interpreter and is not available.", line)


def _check_import(node: ast.Import | ast.ImportFrom, nodes: Sequence[ast.AST]) -> None:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or "."]
    for name in names:
        if not importable(name) and node not in _guarded_imports(nodes):
            raise Rejected(refusal(name), node.lineno)


def _bound_names(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """Names the code gives a meaning of its own, anywhere."""
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.arg(arg=name):
                yield name
            case ast.alias(name=name, asname=asname):
                yield asname or name


def _guarded_imports(nodes: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """What stands within a `try` that expects imports to fail."""
    for node in nodes:
        if isinstance(node, ast.Try) and any(_expects_import_error(handler) for handler in node.handlers):
            for statement in node.body:
                yield from ast.walk(statement)


def _expects_import_error(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    named = {part.id for part in ast.walk(handler.type) if isinstance(part, ast.Name)}
    return bool(named & {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
