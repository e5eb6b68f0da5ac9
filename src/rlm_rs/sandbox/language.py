"""The names that step code finds: builtins, documents, tools."""

from __future__ import annotations

import ast
import builtins
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from rlm_rs.sandbox.awaiting import Loop
from rlm_rs.sandbox.calls import Asker, Drafts, Tool
from rlm_rs.sandbox.citing import Citing
from rlm_rs.sandbox.context import context_view, document_view
from rlm_rs.sandbox.final import submitted
from rlm_rs.sandbox.functions import CustomTools
from rlm_rs.sandbox.ledger import Ledger
from rlm_rs.sandbox.limits import Ending, StepFinished
from rlm_rs.sandbox.modules import Importer, importable
from rlm_rs.sandbox.output import Output
from rlm_rs.sandbox.policy import INSTEAD, INTERNALS
from rlm_rs.sandbox.protocol import STEP_NAMES, StepRequest
from rlm_rs.sandbox.rewrite import DEFERRED
from rlm_rs.sandbox.shelf import Shelf
from rlm_rs.sandbox.step_asyncio import Names
from rlm_rs.sandbox.substitutes import substitutes
from rlm_rs.sandbox.textview import text_context, text_view
from rlm_rs.sandbox.tools import Queue, finisher, tool_view

FIXED = STEP_NAMES | {DEFERRED}
"""Names that always mean the same: what code binds to them is not kept."""

NO_ANSWER = {"content": "", "ready": False}
"""What the dict `answer` is before code puts anything into it."""

_ALSO_VARIABLES = ("answer", "context", "history", "state")

_READY = frozenset(
    {
        "re", "json", "math", "collections", "itertools", "functools", "statistics", "random",
        "datetime", "asyncio",
    }
)  # fmt: skip
"""Modules that code may use without importing them."""


class Language:
    """Builds the namespace of one step and holds the parts behind it."""

    def __init__(
        self, request: StepRequest, shelf: Shelf, ledger: Ledger, asker: Asker, ending: Ending, output: Output
    ):
        self.request = request
        self.shelf = shelf
        self.output = output
        self.drafts = Drafts(request, shelf)
        self.custom = CustomTools(request, self.drafts)
        self.fixed = FIXED | {described.name for described in request.tools}
        self.queue = Queue(request, self.drafts, ending)
        self.citing = Citing(shelf, ledger)
        self.loop = Loop(asker.ask)
        self._finish = finisher(ending, request.limits.answer_chars, self.citing.cite_all)
        self._ending = ending
        self._ask = asker.ask
        asyncio = Names(self.loop)
        seed = f"{request.execution_id}/{request.turn}"
        self.importer = Importer(substitutes(seed, output, request.code, asyncio.modules()))

    def namespace(self, state: dict[str, Any]) -> dict[str, Any]:
        """All names, the module-level ones of Python included."""
        tools = self._tools()
        names: dict[str, Any] = {
            "__name__": "__main__",
            "__builtins__": self._builtins(),
            **tools,
            **self._documents(tools["search"]),
            "state": state,
            "tool": tool_view(self.queue, self._finish, self.request),
            "answer": dict(NO_ANSWER),
            "history": json.loads(json.dumps(self.request.history)),
            DEFERRED: _deferred,
        }
        names |= self._finals(names)
        return names

    def _tools(self) -> dict[str, Any]:
        drafts = self.drafts
        tool = {
            draft.__name__: Tool(draft.__name__, draft, self._ask)
            for draft in (
                drafts.llm_query,
                drafts.llm_query_batched,
                drafts.rlm_query,
                drafts.rlm_query_batched,
            )
        }
        batched = tool["llm_query_batched"]
        search = Tool("search", drafts.search, self._ask)
        own = {"batch_llm_query": batched, "llm_batch": batched, "search": search}
        return self.custom.functions(self._ask) | tool | own

    def _documents(self, search: Any) -> dict[str, Any]:
        if self.request.context_shape == "documents":
            return {"context": context_view(self.shelf, search)}
        context = text_context(self.shelf, search)
        each = {f"context_{number}": self.shelf.at(number) for number in range(min(len(self.shelf), 1_000))}
        return {"context": context, "ctx": context, **each}

    def _finals(self, names: dict[str, Any]) -> dict[str, Any]:
        finish, request, ending = self._finish, self.request, self._ending
        given = frozenset(names) | self.fixed

        def own() -> list[str]:
            return [name for name in names if name not in given and not name.startswith("__")]

        def FINAL(answer: Any = None, citations: Any = None) -> None:
            """End the execution with this answer."""
            finish(answer, citations)

        def FINAL_VAR(name: Any, citations: Any = None) -> None:
            """End the execution with the value of a variable, given by name or itself."""
            finish(_variable(name, names, own()), citations)

        def SUBMIT(*values: Any, **fields: Any) -> None:
            """End the execution with a value, or with named fields."""
            ending.check()
            raise ending.end(StepFinished(submitted(values, fields, request.limits.answer_chars)))

        def SHOW_VARS() -> Shown:
            """The variables there are, with their types and sizes."""
            return Shown(
                "\n".join(_summary(name, names[name]) for name in own()) or "There are no variables yet."
            )

        return {"FINAL": FINAL, "FINAL_VAR": FINAL_VAR, "SUBMIT": SUBMIT, "SHOW_VARS": SHOW_VARS}

    def _builtins(self) -> dict[str, Any]:
        return _BUILTINS | {
            "print": self.output.printer(),
            "__import__": self.importer,
            "exit": _exit,
            "quit": _exit,
        }

    def add_modules(self, nodes: Sequence[ast.AST], namespace: dict[str, Any]) -> None:
        """Bind the well-known modules that the code uses without importing them."""
        used = {node.id for node in nodes if isinstance(node, ast.Name) and node.id in _READY}
        for name in used - namespace.keys():
            if importable(name):
                namespace[name] = self.importer.module(name)


class Shown(str):
    """A text that is echoed as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def view_maker(request: StepRequest) -> Callable[[Any], Any]:
    """What makes the view of a document in this context shape."""
    return document_view if request.context_shape == "documents" else text_view


def _deferred(function: Any) -> Any:
    return function.deferred if isinstance(function, Tool) else function


def _variable(name: Any, names: Mapping[str, Any], own: list[str]) -> Any:
    """The variable of that name, or `name` itself where it is no name but a value."""
    if type(name) is not str:
        return name
    bare = name.strip().strip("'\"").strip()
    if bare in own or bare in _ALSO_VARIABLES:
        return names[bare]
    if bare.isidentifier() and not any(name is value for value in names.values()):
        raise NameError(f"there is no variable {bare!r}; there are {', '.join(own) or 'none yet'}")
    return name


def _summary(name: str, value: Any) -> str:
    size = f", length {len(value):,}" if hasattr(type(value), "__len__") else ""
    return f"{name}: {type(value).__name__}{size}"


def _exit(code: object = None) -> NoReturn:
    """End the step here."""
    raise SystemExit(code)


def _getattr(value: Any, name: str, *default: Any) -> Any:
    """`getattr`, but not for what belongs to the interpreter."""
    if name in INTERNALS:
        raise AttributeError(f"the attribute {name} is not available")
    return getattr(value, name, *default)


def _hasattr(value: Any, name: str) -> bool:
    """`hasattr`, but not for what belongs to the interpreter."""
    return name not in INTERNALS and hasattr(value, name)


_BUILTINS = {
    name: value
    for name, value in vars(builtins).items()
    if name not in INSTEAD
    and name not in ("__loader__", "__spec__", "__doc__", "copyright", "credits", "license")
} | {"getattr": _getattr, "hasattr": _hasattr}
