"""The API keeps to its own description, whatever it is sent."""

from __future__ import annotations

from typing import Any

import httpx2
import schemathesis
from api_server import Running
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rlm_rs.api.app import create_app

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
SCHEMA = schemathesis.openapi.from_dict(create_app().openapi())
# waiting is all they do with a body that is right
SLOW = ("/v1/chat/completions", "/v1/executions/{execution_id}/wait")


@SCHEMA.exclude(path=list(SLOW)).parametrize()
@settings(
    max_examples=5,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
def test_no_request_breaks_the_api(
    case: schemathesis.Case[Any], server: Running, acme: httpx2.Client
) -> None:
    headers = {"Authorization": acme.headers["Authorization"]}
    case.call_and_validate(base_url=server.url, headers=headers, checks=list(CHECKS))


def test_every_route_says_what_it_is() -> None:
    for path, methods in create_app().openapi()["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), f"{method} {path}"
            assert "422" in operation["responses"], f"{method} {path}"
