"""Several sources of custom tools as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlm_rs.core.errors import ToolFailed, ValidationFailed
from rlm_rs.core.ports import Tools
from rlm_rs.sandbox.protocol import ToolDescription


class ToolsTogether:
    """`core.ports.Tools` of several."""

    def __init__(self, sources: Sequence[Tools]) -> None:
        self._sources = sources
        self._owners: dict[str, Tools] = {}

    async def describe(self) -> Sequence[ToolDescription]:
        """All tools of all. Raises `ToolFailed`, and `ValidationFailed` if two have one name."""
        owners: dict[str, Tools] = {}
        found: list[ToolDescription] = []
        for source in self._sources:
            for described in await source.describe():
                if described.name in owners:
                    raise ValidationFailed(reason=f"Two tools are called {described.name}.")
                owners[described.name] = source
                found.append(described)
        self._owners = owners
        return found

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """What the one that has the tool returns. Raises `ToolFailed`."""
        if name not in self._owners:
            # a journal that is gone on with names tools before anybody has asked what there are
            await self.describe()
        if name not in self._owners:
            raise ToolFailed(tool=name, reason="there is no such tool here")
        return await self._owners[name].call(name, arguments)

    async def close(self) -> None:
        """End all."""
        for source in self._sources:
            await source.close()
