"""Calls of custom tools: recorded, shared and kept as paid model calls are.

The result is stored before the journal knows of it, so that a call whose result was lost between the two
is not made again. A pure tool's result answers the same call of the tenant wherever it comes from; any other
is remembered for the one place that made it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from typing import Any

import orjson

from rlm_rs.core.budget import Spend
from rlm_rs.core.errors import BlobNotFound, ToolFailed
from rlm_rs.orchestrator.ports import Ports
from rlm_rs.orchestrator.subcalls import Fanout, Outcome
from rlm_rs.sandbox.protocol import SubcallRequest, SubcallResult, ToolDescription

MAX_RESULT_CHARS = 1_000_000


async def call_tool(fanout: Fanout, request: SubcallRequest) -> Outcome:
    """Resolve a `tool` sub-call. Raises `ToolFailed`."""
    execution = fanout.run.execution
    described = next((tool for tool in execution.tools if tool.name == request.tool), None)
    if described is None:
        raise ToolFailed(tool=request.tool, reason="this execution has no such tool")
    place = f"{execution.execution_id}/{fanout.run.turns[-1].index}/{request.key}"
    uri = _uri(execution.tenant_id, place, described, request, fanout.ports)
    made = await fanout.ports.calls.shared(uri, lambda: _found_or_called(uri, place, request, fanout.ports))
    known = made["called_by"] != place
    return Outcome(
        SubcallResult(
            request.key,
            request.digest(),
            "resolved",
            text=json.dumps(made["value"], ensure_ascii=False),
            meta={"tool": request.tool, "cache_hit": known},
        ),
        Spend(tool_calls=1),
        cache_hit=known,
        cached_at=uri,
    )


async def _found_or_called(uri: str, place: str, request: SubcallRequest, ports: Ports) -> dict[str, Any]:
    try:
        record: dict[str, Any] = orjson.loads(await ports.blobs.get(uri))
        return {"called_by": record["called_by"], "value": record["value"]}
    except (BlobNotFound, ValueError, KeyError):
        # a record that cannot be read is as good as none
        pass
    value = await _called(request, ports)
    record = {
        "created_at": time.time(),
        "called_by": place,
        "tool": request.tool,
        "arguments": request.arguments,
        "value": value,
    }
    await ports.blobs.put(uri, orjson.dumps(record))
    return record


async def _called(request: SubcallRequest, ports: Ports) -> Any:
    name = str(request.tool)
    try:
        async with asyncio.timeout(ports.tool_seconds), ports.slots:
            value = await ports.tools.call(name, request.arguments or {})
    except TimeoutError as error:
        raise ToolFailed(tool=name, reason=f"no result within {ports.tool_seconds:g} seconds") from error
    except ToolFailed:
        raise
    except Exception as error:  # the edge to code that is not ours
        raise ToolFailed(tool=name, reason=f"{type(error).__name__}: {error}") from error
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
        stored: Any = orjson.loads(orjson.dumps(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise ToolFailed(tool=name, reason=f"what it returned is not JSON: {error}") from error
    if len(text) > MAX_RESULT_CHARS:
        reason = f"it returned {len(text):,} characters; at most {MAX_RESULT_CHARS:,} are passed on"
        raise ToolFailed(tool=name, reason=reason)
    return stored


def _uri(
    tenant_id: str, place: str, described: ToolDescription, request: SubcallRequest, ports: Ports
) -> str:
    asked = {
        "tool": request.tool,
        "version": described.version,
        "arguments": request.arguments,
        "place": None if described.pure else place,
    }
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    return f"s3://{ports.bucket}/cache/{tenant_id}/tool/{digest}.json"
