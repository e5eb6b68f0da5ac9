"""Events to and from the journal's records, large payloads as blobs, and listeners to what is appended.

A record stays under RECORD_BYTES whatever the event holds: its largest parts move to the blob store and
the record keeps their place, URI and checksum. References stand beside the event, never inside it, so that
nothing step code writes can be taken for one.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import orjson
from pydantic import Field, TypeAdapter

from rlm_rs.core.errors import ChecksumMismatch, ExecutionNotFound, Fenced
from rlm_rs.core.execution import Event, Execution, Run, Started, begun, fold
from rlm_rs.core.ports import Blobs, Journal
from rlm_rs.core.wellformed import well_formed

RECORD_BYTES = 64_000
PAYLOAD_BYTES = 2_000

_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])

Listener = Callable[[str, int, Event], None]
Watcher = Callable[[Run, Event], None]


class EventLog:
    """The journal of executions as events. One instance may serve many executions at once."""

    def __init__(self, journal: Journal, blobs: Blobs, bucket: str) -> None:
        self._journal = journal
        self._blobs = blobs
        self._bucket = bucket
        self._clocks: dict[str, float] = {}
        self._listeners: list[Listener] = []
        self._watchers: list[Watcher] = []

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(execution_id, seq, event)` after each append; returns what stops it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Call `watcher(run, event)` after each append, with the run after it; returns what stops it."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    async def start(self, execution: Execution) -> Run:
        """Begin an execution's journal; one that has begun already is read instead."""
        known = await self.replay(execution.tenant_id, execution.execution_id)
        if known is not None:
            return known
        execution = replace(execution, question=well_formed(execution.question))
        started, run = Started(execution=execution, at=time.time()), begun(execution)
        await self._write(execution, 0, started)
        self._watched(run, started)
        return run

    async def append(self, run: Run, event: Event) -> Run:
        """Record an event and return the run after it. Raises `Fenced` if another worker went on."""
        stamped = replace(event, at=time.time(), elapsed=self.elapsed(run))
        await self._write(run.execution, run.seq, stamped)
        run = run.apply(stamped)
        self._watched(run, stamped)
        return run

    def elapsed(self, run: Run) -> float:
        """Seconds of work on this execution so far, the pauses between workers left out.

        The clock goes on from the journal's last event when it is first asked for, and runs until `forget`.
        """
        started = self._clocks.setdefault(run.execution.execution_id, time.monotonic() - run.spend.seconds)
        return time.monotonic() - started

    async def replay(self, tenant_id: str, execution_id: str) -> Run | None:
        """The run as its journal has it, or None. Another tenant's execution is None too."""
        return fold([event for _, event in await self.events(tenant_id, execution_id)])

    async def events(self, tenant_id: str, execution_id: str, start: int = 0) -> list[tuple[int, Event]]:
        """Numbered events from `start` on; empty for what this tenant does not have."""
        records = await self._journal.read(execution_id, 0)
        events = [
            (seq, await self._decoded(record))
            for seq, record in enumerate(records)
            if seq == 0 or seq >= start
        ]
        if events and not _belongs_to(events[0][1], tenant_id):
            return []
        return [numbered for numbered in events if numbered[0] >= start]

    async def tail(self, execution_id: str, start: int) -> list[tuple[int, Event]]:
        """Numbered events from `start` on, of an execution that is known to be the asker's own."""
        records = await self._journal.read(execution_id, start)
        return [(seq, await self._decoded(record)) for seq, record in enumerate(records, start)]

    async def exists(self, execution_id: str, length: int) -> bool:
        """Whether an execution's journal still has at least so many records."""
        return length == 0 or bool(await self._journal.read(execution_id, length - 1))

    async def remove(self, tenant_id: str, execution_id: str) -> None:
        """Remove an execution's journal and the payloads that moved out of it."""
        await self._journal.delete(execution_id)
        await self._blobs.delete_prefix(f"s3://{self._bucket}/state/{tenant_id}/{execution_id}/")

    def forget(self, execution_id: str) -> None:
        """Stop an execution's clock: nobody works on it any more."""
        self._clocks.pop(execution_id, None)

    async def _write(self, execution: Execution, seq: int, event: Event) -> None:
        record = await self._encoded(execution, event)
        try:
            await self._journal.append(execution.execution_id, seq, record)
        except Fenced:
            if not await self.exists(execution.execution_id, seq):
                # the execution was removed: what moved out of this record goes with it
                await self.remove(execution.tenant_id, execution.execution_id)
            raise
        for listener in tuple(self._listeners):
            listener(execution.execution_id, seq, event)

    def _watched(self, run: Run, event: Event) -> None:
        for watcher in tuple(self._watchers):
            watcher(run, event)

    async def _encoded(self, execution: Execution, event: Event) -> bytes:
        data = _EVENT.dump_python(event, mode="json")
        payloads: list[dict[str, Any]] = []
        record = _record(data, payloads)
        for place in _largest_first(data) if len(record) > RECORD_BYTES else ():
            payloads.append(await self._moved_out(execution, data, place))
            record = _record(data, payloads)
            if len(record) <= RECORD_BYTES:
                break
        return record

    async def _moved_out(
        self, execution: Execution, data: dict[str, Any], place: Sequence[str]
    ) -> dict[str, Any]:
        holder = _holder(data, place)
        content = _dumped(holder[place[-1]])
        holder[place[-1]] = None
        digest = hashlib.sha256(content).hexdigest()
        uri = self._payload_uri(execution, data, place[-1], digest)
        await self._blobs.put(uri, gzip.compress(content, 1, mtime=0))
        return {"at": list(place), "uri": uri, "checksum": f"sha256:{digest}"}

    def _payload_uri(self, execution: Execution, data: dict[str, Any], name: str, digest: str) -> str:
        tenant = f"s3://{self._bucket}/state/{execution.tenant_id}/{execution.execution_id}"
        # the digest keeps two workers that race on one turn from sharing a name
        return f"{tenant}/{name}_{data.get('turn', 'start')}_{digest[:12]}.json.gz"

    async def _decoded(self, record: bytes) -> Event:
        envelope = orjson.loads(record)
        data = envelope["event"]
        for payload in envelope.get("payloads", ()):
            content = gzip.decompress(await self._blobs.get(payload["uri"]))
            if f"sha256:{hashlib.sha256(content).hexdigest()}" != payload["checksum"]:
                raise ChecksumMismatch(what=payload["uri"])
            _holder(data, payload["at"])[payload["at"][-1]] = orjson.loads(content)
        return _EVENT.validate_python(data)


def event_data(event: Event) -> dict[str, Any]:
    """An event as JSON values, as records and event streams hold it."""
    data: dict[str, Any] = _EVENT.dump_python(event, mode="json")
    return data


def event_of(data: Mapping[str, Any]) -> Event:
    """The event that these JSON values are. Raises `pydantic.ValidationError`."""
    return _EVENT.validate_python(data)


async def replayed(log: EventLog, tenant_id: str, execution_id: str) -> Run:
    """The run as its journal has it. Raises `ExecutionNotFound`."""
    run = await log.replay(tenant_id, execution_id)
    if run is None:
        raise ExecutionNotFound(execution_id=execution_id)
    return run


def _belongs_to(event: Event, tenant_id: str) -> bool:
    return isinstance(event, Started) and event.execution.tenant_id == tenant_id


def _record(data: dict[str, Any], payloads: list[dict[str, Any]]) -> bytes:
    return _dumped({"event": data, "payloads": payloads} if payloads else {"event": data})


def _dumped(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        # lone surrogates, in a question or a model's words; the sandbox lets none through
        return well_formed(json.dumps(value, ensure_ascii=False)).encode()


def _largest_first(data: dict[str, Any]) -> list[tuple[str, ...]]:
    sizes = [(len(_dumped(_holder(data, place)[place[-1]])), place) for place in _places(data)]
    return [place for size, place in sorted(sizes, reverse=True) if size > PAYLOAD_BYTES]


def _places(data: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Fields that may move out: those of the event, and those of the values it holds, one level down."""
    for name, value in data.items():
        if isinstance(value, dict) and name in ("result", "request", "execution"):
            yield from ((name, inner) for inner in value)
        else:
            yield (name,)


def _holder(data: dict[str, Any], place: Sequence[str]) -> dict[str, Any]:
    for name in place[:-1]:
        data = data[name]
    return data
