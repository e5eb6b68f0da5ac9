"""Traces of executions as JSON lines: streamed one at a time, and gone on with after an interruption."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from rlm_rs.core.errors import ExecutionNotFound, ValidationFailed
from rlm_rs.core.execution import Execution, Models, Run
from rlm_rs.core.records import ExecutionRecord, ExecutionStatus
from rlm_rs.orchestrator.ports import Service
from rlm_rs.orchestrator.tracing.building import canonical
from rlm_rs.orchestrator.tracing.evaluated import joined
from rlm_rs.orchestrator.tracing.redaction import is_redacted
from rlm_rs.orchestrator.tracing.stored import live_trace, stored_trace, trace_uri

PAGE_ROWS = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which executions to export. Without ids: all of the tenant that have ended, newest first.

    limit: at most so many in this call. rebuild_missing: read the journal where no trace was kept.
    children: child executions too, each as a trace of its own. redact: without texts.
    """

    tenant_id: str
    execution_ids: tuple[str, ...] = ()
    session_id: str | None = None
    status: ExecutionStatus | None = None
    limit: int | None = None
    rebuild_missing: bool = False
    children: bool = False
    redact: bool = False


@dataclass(slots=True)
class Exported:
    """What came of it. known: were in the file already. missing: ids of executions without a kept trace."""

    written: int = 0
    known: int = 0
    missing: list[str] = field(default_factory=list)


async def export(wanted: Wanted, service: Service, output: Path, *, fresh: bool = False) -> Exported:
    """Append the traces to a file, those left out that it has already; a line cut short is written again.

    fresh: begin the file anew. Raises `ExecutionNotFound` for an id that is not there, `ValidationFailed`
    for a file that cannot be gone on with: it has other lines than traces, those of another tenant, or texts
    that are to be left out.
    """
    known = await asyncio.to_thread(_ids_in, output, wanted, fresh)
    exported = Exported()
    with output.open("ab") as file:
        async for trace in traces(wanted, service, known, exported):
            file.write(canonical(trace) + b"\n")
            file.flush()
            exported.written += 1
    return exported


async def export_to(wanted: Wanted, service: Service, stream: BinaryIO) -> Exported:
    """Write the traces to a stream."""
    exported = Exported()
    async for trace in traces(wanted, service, set(), exported):
        stream.write(canonical(trace) + b"\n")
        exported.written += 1
    return exported


async def traces(
    wanted: Wanted, service: Service, known: set[str], exported: Exported
) -> AsyncIterator[dict[str, Any]]:
    """The wanted traces that are not known, with their evaluations, one at a time."""
    given = 0
    async for row in _rows(wanted, service):
        if row.execution_id in known:
            exported.known += 1
            continue
        if wanted.limit is not None and given >= wanted.limit:
            return
        trace = await _trace(row, wanted, service)
        if trace is None:
            exported.missing.append(row.execution_id)
            continue
        given += 1
        # the children first: an execution that is in the file has all of them there
        async for child in _children(trace, wanted, service, known):
            yield child
        record = await service.evaluations.get_evaluation(row.tenant_id, row.execution_id)
        yield joined(trace, record, redact=wanted.redact)


async def _rows(wanted: Wanted, service: Service) -> AsyncIterator[ExecutionRecord]:
    catalog = service.ports.catalog
    for execution_id in wanted.execution_ids:
        row = await catalog.get_execution(wanted.tenant_id, execution_id)
        if row is None:
            raise ExecutionNotFound(execution_id=execution_id)
        yield row
    cursor: str | None = None
    while not wanted.execution_ids:
        rows, cursor = await catalog.list_executions(
            wanted.tenant_id, PAGE_ROWS, cursor, wanted.session_id, wanted.status
        )
        for row in rows:
            if row.status != ExecutionStatus.RUNNING or wanted.status == ExecutionStatus.RUNNING:
                yield row
        if cursor is None:
            return


async def _trace(row: ExecutionRecord, wanted: Wanted, service: Service) -> dict[str, Any] | None:
    ports = service.ports
    place = Execution(row.execution_id, row.tenant_id, row.session_id, "", Models("", ""))
    kept = await stored_trace(trace_uri(Run(place), ports.bucket), ports.blobs)
    if kept is not None or not wanted.rebuild_missing:
        return kept
    try:
        return await live_trace(row.tenant_id, row.execution_id, ports)
    except ExecutionNotFound:
        # a row whose journal never began
        return None


async def _children(
    trace: dict[str, Any], wanted: Wanted, service: Service, known: set[str]
) -> AsyncIterator[dict[str, Any]]:
    """The traces of an execution's children, theirs first, as their journals have them."""
    for child_id in child_ids(trace) if wanted.children else ():
        child = await live_trace(wanted.tenant_id, child_id, service.ports)
        async for grandchild in _children(child, wanted, service, known):
            yield grandchild
        if child_id not in known:
            yield joined(child, None, redact=wanted.redact)


def child_ids(trace: dict[str, Any]) -> list[str]:
    """Ids of the child executions a trace tells of, in order."""
    results = [result for turn in trace["turns"] for result in turn["tool_results"]["llm"].values()]
    return [result["meta"]["child_id"] for result in results if result["meta"]["child_id"]]


def read_traces(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The traces of a file, each with the byte its line begins at. Raises `ValidationFailed`."""
    number, at = 0, 0
    with path.open("rb") as file:
        for line in file:
            number += 1
            if line.strip():
                yield at, _read(line, f"{path.name}, line {number}")
            at += len(line)


def read_trace_at(file: BinaryIO, at: int) -> dict[str, Any]:
    """The trace whose line begins at that byte."""
    file.seek(at)
    return _read(file.readline(), f"the line at byte {at}")


def _read(line: bytes, place: str) -> dict[str, Any]:
    try:
        trace = orjson.loads(line)
    except ValueError as error:
        raise ValidationFailed(reason=f"{place} is not JSON ({error}). Export the traces again.") from error
    if not isinstance(trace, dict) or trace.get("schema_version") != "rlm_trace_v1":
        raise ValidationFailed(reason=f"{place} is not an rlm_trace_v1; `rlm finetune export` writes them.")
    return trace


def _ids_in(path: Path, wanted: Wanted, fresh: bool) -> set[str]:
    """The executions a file has; a last line that was cut short is taken off. fresh: the file is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if fresh:
        path.unlink(missing_ok=True)
    if not path.exists():
        return set()
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        while end and not _ends_a_line(file, end):
            end -= 1
        file.truncate(end)
    try:
        return {_id_of(trace, path, wanted) for _, trace in read_traces(path)}
    except ValidationFailed as error:
        raise ValidationFailed(reason=f"{error.message} To begin it anew, use --overwrite.") from error


def _id_of(trace: dict[str, Any], path: Path, wanted: Wanted) -> str:
    """The execution of a line. Raises `ValidationFailed` if it may not stand among the wanted."""
    execution = trace["execution"]
    execution_id = str(execution["execution_id"])
    if execution["tenant_id"] != wanted.tenant_id:
        raise ValidationFailed(reason=f"{path.name} has {execution_id}, which is another tenant's.")
    if wanted.redact and not is_redacted(trace):
        raise ValidationFailed(reason=f"{path.name} has the texts of {execution_id}, which is not redacted.")
    return execution_id


def _ends_a_line(file: BinaryIO, end: int) -> bool:
    file.seek(end - 1)
    return file.read(1) == b"\n"
