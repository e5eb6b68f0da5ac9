"""Python functions as custom tools: their arguments checked by their annotations, their results made JSON."""

from __future__ import annotations

import builtins
import hashlib
import inspect
import keyword
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import PydanticUserError, ValidationError, validate_call
from pydantic.errors import PydanticSchemaGenerationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from rlm_rs.core.errors import ToolFailed, ValidationFailed
from rlm_rs.core.marking import Marks, marks_of
from rlm_rs.core.own_thread import in_own_thread
from rlm_rs.sandbox.protocol import STEP_NAMES, ToolDescription

SIGNATURE_CHARS = 500
DOC_CHARS = 300
MAX_THREADS = 200
TAKEN = STEP_NAMES | {"answer", "history", "search", "print", "re", "json", "math", "asyncio", "ctx"}

_NAMELESS = (
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.VAR_KEYWORD,
    inspect.Parameter.POSITIONAL_ONLY,
)


class FunctionTools:
    """`core.ports.Tools` over functions of this process, sync or async.

    Raises `ValidationFailed` for a function that cannot be one.
    """

    def __init__(self, functions: Sequence[Callable[..., Any]]) -> None:
        self._tools: dict[str, tuple[ToolDescription, Callable[..., Any]]] = {}
        for function in functions:
            described = description(function)
            if described.name in self._tools:
                raise ValidationFailed(
                    reason=f"Two tools are called {described.name}; give one another name."
                )
            self._tools[described.name] = (described, _checking(function, described.name))
        self._threads = threading.BoundedSemaphore(MAX_THREADS)

    async def describe(self) -> Sequence[ToolDescription]:
        """Every tool."""
        return [described for described, _ in self._tools.values()]

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """What the function returns; a sync one runs in a thread of its own. Raises `ToolFailed`."""
        if name not in self._tools:
            raise ToolFailed(tool=name, reason="there is no such tool here")
        _, function = self._tools[name]
        try:
            if inspect.iscoroutinefunction(function):
                value = await function(**arguments)
            else:
                value = await self._in_thread(name, lambda: function(**arguments))
            return to_jsonable_python(value)
        except ToolFailed:
            raise
        except ValidationError as error:
            raise ToolFailed(tool=name, reason=_found(error)) from error
        except PydanticSerializationError as error:
            raise ToolFailed(tool=name, reason=f"what it returned is not JSON: {error}") from error
        except (Exception, SystemExit) as error:
            raise ToolFailed(tool=name, reason=f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Nothing to end."""

    async def _in_thread(self, name: str, call: Callable[[], Any]) -> Any:
        if not self._threads.acquire(blocking=False):
            raise ToolFailed(tool=name, reason=f"{MAX_THREADS} earlier calls of tools still hang")

        def held() -> Any:
            try:
                return call()
            finally:
                self._threads.release()

        return await in_own_thread(held)


def description(function: Callable[..., Any]) -> ToolDescription:
    """What step code is told of a function. Raises `ValidationFailed` for one that cannot be a tool."""
    marks = marks_of(function)
    name = marks.name or str(getattr(function, "__name__", type(function).__name__))
    signature = _signature(function, name)
    parameters = signature.parameters.values()
    for parameter in parameters:
        if parameter.kind in _NAMELESS:
            raise ValidationFailed(
                reason=f"Tool {name}: every parameter needs a name, and {parameter} has none."
            )
    by_place = [p for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    return checked_name(
        ToolDescription(
            name=name,
            params=tuple(parameter.name for parameter in parameters),
            required=tuple(p.name for p in parameters if p.default is inspect.Parameter.empty),
            positional=len(by_place),
            signature=str(signature)[:SIGNATURE_CHARS],
            doc=first_line(inspect.getdoc(function)),
            version=_version(function, marks),
            pure=marks.pure,
        )
    )


def checked_name(described: ToolDescription) -> ToolDescription:
    """The description. Raises `ValidationFailed` for a name that step code could not call or has already."""
    name = described.name
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise ValidationFailed(
            reason=f"Tool {name}: that is no name for a function; give another, tool(name=…)."
        )
    if name in TAKEN or hasattr(builtins, name):
        raise ValidationFailed(reason=f"Tool {name}: that name means something else in a step; give another.")
    return described


def first_line(text: str | None) -> str:
    """The first line of a docstring."""
    return (text or "").strip().partition("\n")[0].strip()[:DOC_CHARS]


def _signature(function: Callable[..., Any], name: str) -> inspect.Signature:
    try:
        return inspect.signature(function, eval_str=True)
    except NameError:
        return inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise ValidationFailed(reason=f"Tool {name}: its parameters cannot be told: {error}") from error


def _checking(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function, its arguments validated and converted by its annotations."""
    try:
        return validate_call(function)
    except (PydanticUserError, PydanticSchemaGenerationError) as error:
        reason = str(error).partition("\n")[0]
        raise ValidationFailed(reason=f"Tool {name}: its arguments cannot be checked: {reason}") from error


def _version(function: Callable[..., Any], marks: Marks) -> str:
    """What tells the function from one of the same name: its author's word, else its source or its code."""
    if marks.version:
        return marks.version
    try:
        source = inspect.getsource(function).encode()
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        source = code.co_code if code else repr(function).encode()
    return hashlib.sha256(source).hexdigest()[:16]


def _found(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in found["loc"])
    return f"{place}: {found['msg']}" if place else str(found["msg"])
