"""The examples in /docs are what the service takes and gives."""

from __future__ import annotations

from typing import Any

from api_server import Running
from example_flow import flow

from rlm_rs.api.app import create_app
from rlm_rs.api.examples import JSON, examples, operations

SCHEMA = create_app().openapi()
AGAIN = "run: python tests/api/example_flow.py"


def test_every_operation_has_its_example() -> None:
    without = [
        name
        for name, operation in operations(SCHEMA)
        for part in [*operation["responses"].items()]
        if part[0].startswith("2")
        and JSON in part[1].get("content", {})
        and "example" not in part[1]["content"][JSON]
    ]
    without += [
        name
        for name, operation in operations(SCHEMA)
        if JSON in operation.get("requestBody", {}).get("content", {})
        and "example" not in operation["requestBody"]["content"][JSON]
    ]
    assert without == []


def test_the_flow_that_they_show_still_gives_the_same(server: Running) -> None:
    with server.client("examples") as client:
        found = flow(client)
    assert found.keys() == examples().keys(), AGAIN
    for name, example in examples().items():
        assert found[name]["status"] == example["status"], name
        assert shape(found[name].get("request")) == shape(example.get("request")), f"{name}: {AGAIN}"
        assert shape(found[name]["response"]) == shape(example["response"]), f"{name}: {AGAIN}"


def shape(value: Any) -> Any:
    """Names and kinds of values; numbers are alike, and lists as their first item is."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
    )
