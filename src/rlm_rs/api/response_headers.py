"""Headers of responses in the API's description, as far as clients go by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlm_rs.api.edge import REQUEST_ID
from rlm_rs.api.idempotency import REPLAYED

_TEXT = {"type": "string"}
_EVERYWHERE = {REQUEST_ID: "The request's own id, or one made for it; it is in errors and in the log too."}
_BY_STATUS = {
    "401": {"WWW-Authenticate": "`Bearer`: send a key."},
    "429": {"Retry-After": "Seconds after which to come back."},
}
_ETAG = {"ETag": "Changes with every event; send it as `If-None-Match`."}
_MADE = {
    "Location": "Where what was made is.",
    REPLAYED: "`true` if the same request with this `Idempotency-Key` was answered before.",
}
_BY_OPERATION: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("POST /v1/sessions", "202"): _MADE,
    ("POST /v1/sessions/{session_id}/executions", "202"): _MADE,
    ("POST /v1/sessions/{session_id}/executions/runtime", "201"): _MADE,
    ("GET /v1/executions/{execution_id}", "200"): _ETAG,
    ("GET /v1/executions/{execution_id}", "304"): _ETAG,
}


def describe_headers(name: str, operation: dict[str, Any]) -> None:
    """Add what each response of an operation, such as `POST /v1/sessions`, says in its headers."""
    for status, response in operation["responses"].items():
        told = {**_EVERYWHERE, **_BY_STATUS.get(status, {}), **_BY_OPERATION.get((name, status), {})}
        response["headers"] = {
            header: {"description": meaning, "schema": _TEXT} for header, meaning in told.items()
        }
