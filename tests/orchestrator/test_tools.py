"""Tools as sub-calls, whatever the one that holds them does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
from stage import Stage, outcome, step

from rlm_rs.sandbox.protocol import ToolDescription

MakeStage = Callable[..., Awaitable[Stage]]
LOOK = ToolDescription("look", (), (), 0, "()", "Look.", "1")


class BrokenTools:
    """`core.ports.Tools` that raise what they never promised to."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def describe(self) -> Sequence[ToolDescription]:
        return (LOOK,)

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        raise self._error

    async def close(self) -> None:
        """Nothing to end."""


@pytest.mark.parametrize(
    "error", [RuntimeError("odd"), ExceptionGroup("two", [ValueError("odd")]), OSError(5, "odd")]
)
async def test_any_error_of_a_tool_is_a_failed_call_and_no_end(staged: MakeStage, error: Exception) -> None:
    code = "try:\n    look()\nexcept Exception as e:\n    FINAL(str(e))"
    stage = await staged([step(code)], tools=BrokenTools(error))
    finished = outcome(await stage.ask(tools=(LOOK,)))
    assert str(finished.answer).startswith(f"TOOL_FAILED: look: {type(error).__name__}: ")
