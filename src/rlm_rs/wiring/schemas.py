"""Answers held to a JSON Schema, by a library that is loaded when the first one is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rlm_rs.sandbox.protocol import Final

if TYPE_CHECKING:
    from rlm_rs.orchestrator.output_schema import JsonSchemas


class SchemasWhenNeeded:
    """`orchestrator.ports.AnswerSchemas`."""

    def check(self, schema: Mapping[str, Any]) -> None:
        """Raise `ValidationFailed` for a schema that no answer is held to here."""
        _schemas().check(schema)

    def settled(self, schema: Mapping[str, Any], final: Final) -> Final | str:
        """The answer with the value that satisfies the schema, or in one line why it does not."""
        return _schemas().settled(schema, final)


def _schemas() -> JsonSchemas:
    from rlm_rs.orchestrator.output_schema import JsonSchemas

    return JsonSchemas()
