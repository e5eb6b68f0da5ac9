"""Answers held to a JSON Schema (draft 2020-12), where both come from outside.

No reference is fetched, no pattern can run for ever, and whatever goes wrong is a sentence for the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import re2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from rlm_rs.core.errors import ValidationFailed
from rlm_rs.core.nesting import check_nesting
from rlm_rs.sandbox.protocol import Final

MAX_SCHEMA_CHARS = 100_000
REASON_CHARS = 500
ENDLESS = "the schema refers to itself without end"
_UNBOUNDED = ("patternProperties",)
_PROBES: tuple[Any, ...] = (None, {}, [], "", 0)


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not re2.search(pattern, instance):
        yield ValidationError(f"{instance[:100]!r} does not match {pattern!r}")


_VALIDATOR = extend(Draft202012Validator, {"pattern": _pattern})


class JsonSchemas:
    """`orchestrator.ports.AnswerSchemas`."""

    def check(self, schema: Mapping[str, Any]) -> None:
        """Raise `ValidationFailed` for a schema that no answer is held to here."""
        try:
            if len(json.dumps(schema)) > MAX_SCHEMA_CHARS:
                raise ValidationFailed(
                    reason=f"output_schema is longer than {MAX_SCHEMA_CHARS:,} characters."
                )
            check_nesting("output_schema", schema)
            Draft202012Validator.check_schema(schema)
        except (SchemaError, RecursionError, ValueError) as error:
            reason = error.message if isinstance(error, SchemaError) else str(error)
            raise ValidationFailed(
                reason=f"output_schema is no JSON Schema: {reason[:REASON_CHARS]}"
            ) from None
        for name, value in _members(schema):
            _check_member(name, value)
        _check_references(schema)

    def settled(self, schema: Mapping[str, Any], final: Final) -> Final | str:
        """The answer with the value that satisfies the schema, or in one line why it does not."""
        reasons = []
        for value in _candidates(final):
            reason = _violation(schema, value)
            if reason is None:
                return Final(final.answer, value)
            reasons.append(reason)
        return reasons[-1]


def _candidates(final: Final) -> Iterator[Any]:
    """What the answer may stand for: the value that was given, and the JSON that its text is."""
    if final.value is not None:
        yield final.value
    if final.value is None or isinstance(final.value, str):
        try:
            yield json.loads(final.answer)
        except (ValueError, RecursionError):
            if final.value is None:
                yield final.answer


def _violation(schema: Mapping[str, Any], value: Any) -> str | None:
    try:
        validator = _VALIDATOR(schema, registry=Registry())
        error = min(validator.iter_errors(value), key=lambda found: found.json_path, default=None)
    except Unresolvable as unresolvable:
        return f"the schema refers to {unresolvable.ref}, which is not in it"
    except RecursionError:
        return ENDLESS
    return f"{error.json_path}: {error.message}"[:REASON_CHARS] if error else None


def _members(schema: Any) -> Iterator[tuple[str, Any]]:
    level = [schema]
    while level:
        value = level.pop()
        if isinstance(value, Mapping):
            yield from value.items()
            level += value.values()
        elif isinstance(value, list):
            level += value


def _check_references(schema: Mapping[str, Any]) -> None:
    """Refuse what no answer could satisfy: a reference to nothing here, or to itself without end."""
    root = DRAFT202012.create_resource(schema)
    resolver = Registry().with_resource(root.id() or "", root).crawl().resolver(root.id() or "")
    references = [value for name, value in _members(schema) if name == "$ref" and isinstance(value, str)]
    try:
        for reference in references:
            resolver.lookup(reference)
    except Unresolvable as unresolvable:
        raise ValidationFailed(
            reason=f"output_schema refers to {unresolvable.ref}, which is not in it."
        ) from None
    if references and any(_violation(schema, probe) == ENDLESS for probe in _PROBES):
        raise ValidationFailed(reason=f"output_schema: {ENDLESS}.")


def _check_member(name: str, value: Any) -> None:
    if name in _UNBOUNDED and isinstance(value, Mapping):
        raise ValidationFailed(reason=f"output_schema: {name} is not supported here.")
    if name == "pattern" and isinstance(value, str):
        try:
            re2.compile(value)
        except re2.error as error:
            raise ValidationFailed(
                reason=f"output_schema: the pattern {value!r} cannot be used: {error}"
            ) from None
