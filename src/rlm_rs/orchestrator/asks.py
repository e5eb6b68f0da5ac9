"""How a question is to be answered, as every surface says it; answers as instances of a type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypedDict

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

from rlm_rs.core.answers import Answer, ExecutionFailed, Value
from rlm_rs.core.errors import ValidationFailed
from rlm_rs.core.execution import OutputMode


class AskOptions(TypedDict, total=False):
    """How a question is to be answered.

    budgets: fields of `Budgets` to replace. output_mode: "ANSWER" or "CONTEXTS". continue_from: the
    execution, in the same session, that the question follows up. output_schema: JSON Schema that the answer
    satisfies.
    """

    budgets: Mapping[str, Any] | None
    output_mode: OutputMode
    continue_from: str | None
    output_schema: Mapping[str, Any] | None


def held_to(output: type[Any] | None, options: AskOptions) -> AskOptions:
    """The options, with the JSON Schema of the type that the answer is to be an instance of.

    Raises `ValidationFailed` for a type that has none, and if a schema is given besides.
    """
    if output is None:
        return options
    if options.get("output_schema") is not None:
        raise ValidationFailed(reason="Give output or output_schema, not both.")
    try:
        schema = TypeAdapter(output).json_schema()
    except (PydanticUserError, PydanticSchemaGenerationError, PydanticInvalidForJsonSchema) as error:
        reason = str(error).partition("\n")[0]
        raise ValidationFailed(reason=f"output: no answer can be made a {output!r}: {reason}") from error
    return {**options, "output_schema": schema}


def typed(answer: Answer, output: type[Value] | None) -> Answer[Value]:
    """The answer, its value as an instance of the type.

    Raises `ExecutionFailed` where the type asks for more than its JSON Schema says, and the answer has not.
    """
    if output is None:
        return answer
    try:
        value = TypeAdapter(output).validate_json(json.dumps(answer.value))
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in found["loc"])
        raise ExecutionFailed(
            answer, f"The answer is no {getattr(output, '__name__', output)}: {place}: {found['msg']}"
        ) from error
    return replace(answer, value=value)
