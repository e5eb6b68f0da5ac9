"""What every source of custom tools promises: descriptions, JSON, and `ToolFailed` for what goes wrong."""

from __future__ import annotations

import json

import pytest

from rlm_rs.core.errors import ToolFailed
from rlm_rs.core.ports import Tools

GOES_WRONG: tuple[tuple[str, dict[str, object], str], ...] = (
    ("refuse", {}, "not today"),
    ("echo", {}, "text"),
    ("echo", {"text": "a", "times": "many"}, "times"),
    ("unknown", {}, "no such tool"),
)


class ToolsContract:
    """A subclass gives `tools`, a source with two tools, and `prefix`, what stands before their names.

    `echo(text: str, times: int = 1)` returns `{"said": text * times}`; its docstring begins with "Say it.".
    `refuse()` always fails, saying "not today".
    """

    prefix = ""

    @pytest.fixture
    def tools(self) -> Tools:
        """The source."""
        raise NotImplementedError

    async def test_every_tool_is_described_as_code_calls_it(self, tools: Tools) -> None:
        """Names, parameters and the first line of what each says of itself."""
        described = {tool.name: tool for tool in await tools.describe()}
        assert {f"{self.prefix}echo", f"{self.prefix}refuse"} <= set(described)
        echo = described[f"{self.prefix}echo"]
        assert (echo.params, echo.required, echo.positional) == (("text", "times"), ("text",), 2)
        assert echo.signature.startswith("(text: str, times: int = ")
        assert echo.doc == "Say it."
        assert not echo.pure
        await tools.close()

    async def test_a_result_is_json(self, tools: Tools) -> None:
        """What is returned can be stored and read again."""
        found = await tools.call(f"{self.prefix}echo", {"text": "é", "times": 2})
        assert json.loads(json.dumps(found)) == {"said": "éé"}
        await tools.close()

    async def test_whatever_goes_wrong_is_tool_failed(self, tools: Tools) -> None:
        """The message says which tool, and why."""
        for name, arguments, said in GOES_WRONG:
            with pytest.raises(ToolFailed, match=said) as raised:
                await tools.call(f"{self.prefix}{name}", arguments)
            assert f"{self.prefix}{name}" in raised.value.message
        await tools.close()

    async def test_it_can_be_closed_and_used_again(self, tools: Tools) -> None:
        """What was ended is begun anew."""
        await tools.describe()
        await tools.close()
        await tools.close()
        assert await tools.call(f"{self.prefix}echo", {"text": "a"}) == {"said": "a"}
        await tools.close()
