"""Custom tools: functions of the outside world, called by name and answered like any sub-call."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rlm_rs.sandbox.awaiting import Call
from rlm_rs.sandbox.calls import Drafts, Tool
from rlm_rs.sandbox.limits import LimitExceeded, ToolFailed, ToolRefused
from rlm_rs.sandbox.protocol import StepRequest, SubcallRequest, SubcallResult, ToolDescription
from rlm_rs.sandbox.state import as_json


class CustomTools:
    """The custom tools of one step, and how many calls it has made of them."""

    def __init__(self, request: StepRequest, drafts: Drafts) -> None:
        self._request = request
        self._drafts = drafts
        self._asked = 0

    def functions(self, ask: Callable[..., list[SubcallResult]]) -> dict[str, Tool]:
        """What step code calls, by name."""
        return {tool.name: Tool(tool.name, self._draft(tool), ask) for tool in self._request.tools}

    def _draft(self, tool: ToolDescription) -> Callable[..., Call]:
        def draft(*args: Any, **named: Any) -> Call:
            arguments = as_json(bound(tool, args, named), f"arguments of {tool.name}")
            self._count()
            request = SubcallRequest(
                key="",
                kind="tool",
                prompt=self._drafts.prompt(call_text(tool.name, arguments)),
                called=True,
                tool=tool.name,
                arguments=arguments,
            )
            return Call((request,), _value)

        draft.__doc__ = f"{tool.name}{tool.signature}\n\n{tool.doc}"
        return draft

    def _count(self) -> None:
        self._asked += 1
        limit = self._request.limits.max_tool_requests
        if self._asked > limit:
            raise LimitExceeded(
                f"max_tool_requests_per_step is {limit} and this step has made that many calls of tools. "
                "Go on in the next step."
            )


def bound(tool: ToolDescription, args: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by name. Raises `ToolRefused`, with the signature, for those it does not take."""
    whole = f"{tool.name}{tool.signature}"
    if len(args) > tool.positional:
        raise ToolRefused(f"{whole} takes {tool.positional} arguments by place, not {len(args)}")
    arguments = dict(zip(tool.params, args, strict=False))
    for name, value in named.items():
        if name not in tool.params:
            raise ToolRefused(f"{whole} has no parameter {name}")
        if name in arguments:
            raise ToolRefused(f"{whole} was given {name} twice")
        arguments[name] = value
    missing = [name for name in tool.required if name not in arguments]
    if missing:
        raise ToolRefused(f"{whole} needs {', '.join(missing)}")
    return arguments


def call_text(name: str, arguments: Mapping[str, Any]) -> str:
    """A call as people read it."""
    shown = (f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in arguments.items())
    return f"{name}({', '.join(shown)})"


def _value(results: Sequence[SubcallResult]) -> Any:
    result = results[0]
    if result.status == "error":
        raise ToolFailed(result.text.removeprefix("ERROR: "))
    return json.loads(result.text)
