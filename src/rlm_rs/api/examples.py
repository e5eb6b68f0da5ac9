"""Examples in the API's description: requests and responses of a real flow, with ids and times made short.

`examples.json` holds them by operation. A test goes through the flow again and compares the shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import orjson
from fastapi import FastAPI

from rlm_rs.api.response_headers import describe_headers

JSON = "application/json"


@cache
def examples() -> dict[str, dict[str, Any]]:
    """`{"POST /v1/sessions": {"request": …, "status": "202", "response": …}}`."""
    found: dict[str, dict[str, Any]] = orjson.loads(files(__package__).joinpath("examples.json").read_bytes())
    return found


def with_examples(app: FastAPI) -> None:
    """Put examples and headers into the description that this application gives of itself."""
    describe: Callable[[], dict[str, Any]] = app.openapi

    def described() -> dict[str, Any]:
        # FastAPI makes it once and keeps it
        if app.openapi_schema is None:
            schema = describe()
            for name, operation in operations(schema):
                _illustrate(operation, examples().get(name, {}))
                describe_headers(name, operation)
        return describe()

    app.openapi = described  # type: ignore[method-assign]


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation, as `POST /v1/sessions`."""
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def _illustrate(operation: dict[str, Any], example: dict[str, Any]) -> None:
    if "request" in example:
        operation["requestBody"]["content"][JSON]["example"] = example["request"]
    if "response" in example:
        operation["responses"][example["status"]]["content"][JSON]["example"] = example["response"]
