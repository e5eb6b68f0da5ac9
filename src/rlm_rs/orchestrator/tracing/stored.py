"""Traces as immutable objects, written once when an execution ends, and read back with its evaluation."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import orjson

from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import BlobNotFound, ChecksumMismatch, ExecutionNotFound
from rlm_rs.core.execution import Event, Run, Started
from rlm_rs.core.ports import Blobs
from rlm_rs.orchestrator.ports import Ports
from rlm_rs.orchestrator.sessions import corpus_left
from rlm_rs.orchestrator.tracing.building import canonical, trace_checksum, trace_of
from rlm_rs.orchestrator.tracing.redaction import redacted


def trace_uri(run: Run, bucket: str) -> str:
    """Where the trace of an execution lies once it has ended."""
    execution = run.execution
    place = f"{execution.tenant_id}/{execution.session_id}/{execution.execution_id}"
    return f"s3://{bucket}/traces/{place}.json.gz"


async def keep_trace(run: Run, ports: Ports) -> None:
    """Write the trace of an execution that has ended; one that is there stays as it is."""
    execution = run.execution
    trace = await live_trace(execution.tenant_id, execution.execution_id, ports)
    packed = await asyncio.to_thread(lambda: gzip.compress(canonical(trace), 6, mtime=0))
    await ports.blobs.put(trace_uri(run, ports.bucket), packed)


async def read_trace(tenant_id: str, execution_id: str, ports: Ports) -> dict[str, Any]:
    """The trace as it was written, or as the journal has it so far. Raises `ExecutionNotFound`.

    Raises `ChecksumMismatch` for an object that is not what was written.
    """
    run = await ports.log.replay(tenant_id, execution_id)
    if run is None:
        raise ExecutionNotFound(execution_id=execution_id)
    kept = await stored_trace(trace_uri(run, ports.bucket), ports.blobs) if run.finished else None
    return kept or await live_trace(tenant_id, execution_id, ports)


async def stored_trace(uri: str, blobs: Blobs) -> dict[str, Any] | None:
    """The trace at that place, or None. Raises `ChecksumMismatch`."""
    try:
        data = await blobs.get(uri)
    except BlobNotFound:
        return None
    trace: dict[str, Any] = orjson.loads(gzip.decompress(data))
    if trace.get("checksum") != trace_checksum(trace):
        raise ChecksumMismatch(what=uri)
    return trace


async def live_trace(tenant_id: str, execution_id: str, ports: Ports) -> dict[str, Any]:
    """The trace as the journal has it now. Raises `ExecutionNotFound`."""
    events = [event for _, event in await ports.log.events(tenant_id, execution_id)]
    if not events:
        raise ExecutionNotFound(execution_id=execution_id)
    session_id = _session_of(events[0])
    corpus: Corpus = await corpus_left(tenant_id, session_id, ports.catalog)
    session = await ports.catalog.get_session(tenant_id, session_id)
    trace = await trace_of(events, corpus, session, ports)
    wanted = trace["execution"]["options"].get("redact_trace")
    return redacted(trace) if wanted or ports.redact_traces else trace


def _session_of(first: Event) -> str:
    if not isinstance(first, Started):
        raise ValueError(f"a journal starts with Started, not {first.type}")
    return first.execution.session_id
