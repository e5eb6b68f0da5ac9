"""Functions and classes of step code as source, so that they can be made again in the next step."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import CodeType, FunctionType
from typing import Any

from rlm_rs.sandbox.failure import KEPT_FILE, STEP_FILE
from rlm_rs.sandbox.rewrite import compiled, recompiled

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a definition (`name` bound by running it) or of a lambda (`name` empty)."""

    name: str
    text: str


class Definitions:
    """Finds the source of what a step defined, and remembers that of what was made again from source."""

    def __init__(self, code: str, nodes: Sequence[ast.AST]) -> None:
        """`nodes` are all of the tree of `code`, empty when it did not get as far as running."""
        self._code = code
        self._nodes = nodes
        self._made: dict[int, tuple[Any, Source]] = {}

    @cached_property
    def _lines(self) -> list[str]:
        return self._code.splitlines()

    @cached_property
    def _named(self) -> dict[str, _Definition]:
        return dict(_named_last(self._nodes[:1]))

    def of(self, name: str, value: Any) -> Source | None:
        """The source of `value`, found under a global `name`; None if there is none that would do."""
        made = self._made.get(id(value))
        if made is not None:
            return made[1]
        node = self._named.get(name)
        if node is not None and (node.decorator_list or getattr(value, "__name__", "") == name):
            return Source(node.name, self._text(node))
        return self._of_function(value) if isinstance(value, FunctionType) else None

    def _of_function(self, function: FunctionType) -> Source | None:
        code = function.__code__
        if code.co_filename != STEP_FILE or code.co_freevars:
            return None
        if function.__name__ == "<lambda>":
            return self._of_lambda(code)
        for node in self._nodes:
            if (
                isinstance(node, _Definition)
                and node.name == code.co_name
                and _first_line(node) == code.co_firstlineno
            ):
                return Source(node.name, self._text(node))
        return None

    def _of_lambda(self, code: CodeType) -> Source | None:
        for node in self._nodes:
            if isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno:
                text = ast.get_source_segment(self._code, node) or ""
                if _same(code, _lambda_code(text)):
                    return Source("", text)
        return None

    def _text(self, node: _Definition) -> str:
        return "\n".join(self._lines[_first_line(node) - 1 : node.end_lineno])

    def make(self, source: Source, namespace: dict[str, Any]) -> Any:
        """Run the source in `namespace` and return what it makes. Raises whatever that raises."""
        if source.name:
            value = _defined(source, namespace)
        else:
            value = eval(compiled(ast.parse(f"({source.text})", mode="eval"), KEPT_FILE), namespace)
        self._made[id(value)] = (value, source)
        return value


def _defined(source: Source, namespace: dict[str, Any]) -> Any:
    """What the definition binds, leaving alone what `namespace` holds under that name."""
    before = namespace.get(source.name, _ABSENT)
    text = f"if True:\n{source.text}" if source.text[:1].isspace() else source.text
    exec(recompiled(text, KEPT_FILE), namespace)
    value = namespace.pop(source.name)
    if before is not _ABSENT:
        namespace[source.name] = before
    return value


_ABSENT = object()


def _named_last(tree: Sequence[ast.AST]) -> Iterator[tuple[str, _Definition]]:
    """Definitions of the top level whose name is not bound again later."""
    last: dict[str, ast.AST] = {}
    for node in _top_level(tree):
        if isinstance(node, _Definition):
            last[node.name] = node
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            last[node.id] = node
        elif isinstance(node, ast.alias):
            last[node.asname or node.name] = node
    for name, node in last.items():
        if isinstance(node, _Definition):
            yield name, node


def _top_level(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    for node in nodes:
        yield node
        if not isinstance(node, (_Definition, ast.Lambda)):
            yield from _top_level(ast.iter_child_nodes(node))


def _first_line(node: _Definition) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _lambda_code(text: str) -> CodeType | None:
    try:
        outer = compile(f"({text})", STEP_FILE, "eval")
    except SyntaxError:
        return None
    return next((const for const in outer.co_consts if isinstance(const, CodeType)), None)


def _same(code: CodeType, other: CodeType | None) -> bool:
    return (
        other is not None
        and all(
            getattr(code, part) == getattr(other, part) for part in ("co_code", "co_names", "co_varnames")
        )
        and list(map(repr, _plain_consts(code))) == list(map(repr, _plain_consts(other)))
    )


def _plain_consts(code: CodeType) -> list[Any]:
    return [const for const in code.co_consts if not isinstance(const, CodeType)]
