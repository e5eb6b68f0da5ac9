"""The ports: everything the orchestrator needs from the outside world, and nothing more.

Each port has a contract, a shipped test class in `rlm_rs.testing`, which every adapter passes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from rlm_rs.core.corpus import Corpus, Failure, Parsed
from rlm_rs.core.model import ModelReply, ModelRequest
from rlm_rs.core.records import (
    ApiKeyRecord,
    AuditRecord,
    DocumentRecord,
    EvaluationRecord,
    ExecutionRecord,
    ExecutionStatus,
    SessionRecord,
    SessionStatus,
    WorkItem,
    WorkKind,
)
from rlm_rs.core.searching import SearchHit
from rlm_rs.sandbox.protocol import StepRequest, StepResult, ToolDescription, View

IDEMPOTENCY_SECONDS = 24 * 3600.0


class Journal(Protocol):
    """Append-only records of executions, numbered from 0 without gaps."""

    async def append(self, execution_id: str, seq: int, record: bytes) -> None:
        """Store `record` as number `seq`; it is durable on return.

        Raises `Fenced` if that number is taken or the one before it is missing: another worker is ahead.
        """

    async def read(self, execution_id: str, start: int = 0) -> Sequence[bytes]:
        """All records from number `start` on, in order; empty for an unknown execution."""

    async def delete(self, execution_id: str) -> None:
        """Remove all records of an execution. Removing nothing is not an error."""


class Blobs(Protocol):
    """Immutable objects under `s3://bucket/key` URIs."""

    async def put(self, uri: str, data: bytes) -> None:
        """Store an object, durable on return. Writing the same URI again keeps the first object."""

    async def put_file(self, uri: str, path: Path) -> None:
        """Store a file's content without holding it in memory. The file may be moved away."""

    async def put_folder(self, prefix: str, folder: Path) -> None:
        """Store every file of a folder as `prefix` (which ends in `/`) and its name, as `put_file` does.

        The folder holds no folders. It may be moved away.
        """

    async def get(self, uri: str, start: int = 0, length: int | None = None) -> bytes:
        """Bytes `[start, start + length)`, shorter at the end of the object. Raises `BlobNotFound`."""

    async def size(self, uri: str) -> int:
        """Length in bytes. Raises `BlobNotFound`."""

    def stream(self, uri: str, chunk_bytes: int = 8 << 20) -> AsyncIterator[bytes]:
        """The object in order, in pieces of about `chunk_bytes`. Raises `BlobNotFound`."""

    async def list(self, prefix: str) -> Sequence[str]:
        """URIs of all objects below a URI prefix that ends in `/`, sorted."""

    async def delete(self, uri: str) -> None:
        """Remove an object. Removing nothing is not an error."""

    async def delete_prefix(self, prefix: str) -> None:
        """Remove all objects below a URI prefix that ends in `/`."""

    def local_path(self, uri: str) -> Path | None:
        """Where the object lies as a file of this machine, or None if it does not."""


class Fence(Protocol):
    """What bounds the files that somebody who is not trusted may name."""

    def holds(self, path: Path) -> bool:
        """Whether a path, once every link in it is followed, is inside."""

    def take(self, path: Path, copy: Path) -> None:
        """Copy a file that is inside to `copy`, a new file: what is read later cannot be exchanged.

        Raises `PermissionError` for one outside, and `OSError` or `ValidationFailed` for one that cannot be
        had.
        """


class Links(Protocol):
    """Addresses by which objects can be read without any permission of the reader's own, for a while."""

    async def links(self, uris: Sequence[str], seconds: float) -> Sequence[str]:
        """A URL for each object, good for so long; whether there is such an object is not looked at."""


class Catalog(Protocol):
    """Sessions, their documents, and executions as rows for lists; what happened is in the journal."""

    async def put_session(self, session: SessionRecord, documents: Sequence[DocumentRecord]) -> None:
        """Write a session with its documents, all or nothing; replaces what stood there."""

    async def get_session(self, tenant_id: str, session_id: str) -> SessionRecord | None:
        """A session of that tenant, or None."""

    async def list_sessions(
        self,
        tenant_id: str,
        limit: int = 100,
        cursor: str | None = None,
        status: SessionStatus | None = None,
    ) -> tuple[Sequence[SessionRecord], str | None]:
        """A page of sessions, newest first, and the cursor of the next page (None at the end).

        Only those with a status, where it is given.
        """

    async def find_session(self, tenant_id: str, fingerprint: str) -> SessionRecord | None:
        """The newest session with that corpus fingerprint, or None."""

    async def delete_session(self, tenant_id: str, session_id: str) -> None:
        """Remove a session's row and its documents' rows."""

    async def put_documents(self, documents: Sequence[DocumentRecord]) -> None:
        """Write document rows; replaces those with the same session and id."""

    async def move_session(self, session: SessionRecord, expected: SessionStatus) -> bool:
        """Replace a session's row, its documents left alone, if its status is still the expected one.

        Returns whether it was. So two who change a session at once do not undo each other's change.
        """

    async def list_ended_sessions(self, now: float, limit: int = 100) -> Sequence[SessionRecord]:
        """Sessions of all tenants whose time is over at `now` and whose data was not removed yet."""

    async def list_documents(self, tenant_id: str, session_id: str) -> Sequence[DocumentRecord]:
        """All documents of a session in `doc_index` order."""

    async def put_execution(self, execution: ExecutionRecord) -> None:
        """Write an execution's row; replaces the one with the same id."""

    async def get_execution(self, tenant_id: str, execution_id: str) -> ExecutionRecord | None:
        """An execution of that tenant, or None."""

    async def delete_execution(self, tenant_id: str, execution_id: str) -> None:
        """Remove an execution's row. Removing nothing is not an error."""

    async def list_executions(
        self,
        tenant_id: str,
        limit: int = 100,
        cursor: str | None = None,
        session_id: str | None = None,
        status: ExecutionStatus | None = None,
        mode: str | None = None,
    ) -> tuple[Sequence[ExecutionRecord], str | None]:
        """A page of executions, newest first, and the cursor of the next page (None at the end).

        Only those of a session, with a status, of a mode, where these are given.
        """

    async def count_executions(self, tenant_id: str, status: ExecutionStatus) -> int:
        """How many executions of a tenant have that status."""


class Evaluations(Protocol):
    """Evaluations of executions, one for each that was evaluated."""

    async def put_evaluation(self, evaluation: EvaluationRecord) -> bool:
        """Write an execution's evaluation, unless one with a higher revision stands there.

        Returns whether it was written. So what was asked for last is what stands in the end.
        """

    async def get_evaluation(self, tenant_id: str, execution_id: str) -> EvaluationRecord | None:
        """The evaluation of that tenant's execution, or None."""

    async def delete_evaluation(self, tenant_id: str, execution_id: str) -> None:
        """Remove an evaluation. Removing nothing is not an error."""


class Work(Protocol):
    """What is waiting to be done, and who is doing it.

    Leases keep two workers from doing the same thing at once; that no work is lost or doubled rests on the
    journal's fence, not on them. Claims are fair between tenants: the tenant with the fewest items under
    lease comes first, its oldest item first.
    """

    async def add(self, kind: WorkKind, tenant_id: str, item_id: str) -> None:
        """Ask for something to be done. Adding what is waiting or under way already changes nothing."""

    async def claim(self, kind: WorkKind, owner: str, lease_seconds: float) -> WorkItem | None:
        """Take an item nobody holds, or whose lease has run out; None if there is none."""

    async def claim_item(
        self, kind: WorkKind, tenant_id: str, item_id: str, owner: str, lease_seconds: float
    ) -> WorkItem | None:
        """Take this item, in whatever order; None if somebody holds it or it is not here."""

    async def renew(self, item: WorkItem, owner: str, lease_seconds: float) -> WorkItem | None:
        """Keep an item; returns it as it is now, with `cancel_requested`. None: the lease was lost."""

    async def release(self, item: WorkItem, owner: str, *, counted: bool = True) -> None:
        """Give an item back to be claimed again at once; nothing happens if the lease was lost.

        counted=False takes the claim off its attempts: the worker stops, the item did nothing wrong.
        """

    async def done(self, item: WorkItem, owner: str) -> None:
        """The item is finished; nothing happens if the lease was lost."""

    async def request_cancel(self, kind: WorkKind, tenant_id: str, item_id: str) -> bool:
        """Ask that an item be stopped. False if it is not here: it is finished, or was never added."""

    async def waiting(self, kind: WorkKind) -> int:
        """How many items are not under lease."""


class Keys(Protocol):
    """API keys by their hash."""

    async def put_key(self, key: ApiKeyRecord) -> None:
        """Write a key; replaces the one with the same hash."""

    async def find_key(self, key_hash: str) -> ApiKeyRecord | None:
        """The key with that hash, whether or not it is still good."""

    async def mark_used(self, key_hash: str, at: float) -> None:
        """Set when a key was last used and nothing else of it, so that a revocation is never undone."""

    async def list_keys(self, tenant_id: str | None = None) -> Sequence[ApiKeyRecord]:
        """All keys, or those of one tenant, oldest first."""


class AuditLog(Protocol):
    """Every mutating request, per tenant."""

    async def write(self, entry: AuditRecord) -> None:
        """Add an entry; it is durable on return."""

    async def list_entries(
        self, tenant_id: str, limit: int = 100, cursor: str | None = None
    ) -> tuple[Sequence[AuditRecord], str | None]:
        """A page of entries, newest first, and the cursor of the next page (None at the end)."""


class Idempotency(Protocol):
    """What requests with an Idempotency-Key were answered with, for 24 hours (IDEMPOTENCY_SECONDS).

    The words follow draft-ietf-httpapi-idempotency-key-header: one key stands for one request of one tenant.
    """

    async def begin(self, tenant_id: str, key: str, request_digest: str, hold_seconds: float) -> bytes | None:
        """Take a key for a request with this digest; of several at once, one gets it.

        None: the caller has it and does the work, then calls `finish`, or `abandon` if nothing came of it;
        after hold_seconds without either, the key is free again. Bytes: what that request was answered with.
        Raises `IdempotencyConflict` if the key stands for another request, and `RequestUnderWay` while
        somebody else does the work.
        """

    async def finish(self, tenant_id: str, key: str, request_digest: str, response: bytes) -> None:
        """Keep the answer of a request that has the key; the first answer stays."""

    async def abandon(self, tenant_id: str, key: str, request_digest: str) -> None:
        """Free a key whose request came to nothing; an answer that is kept stays."""


class Rates(Protocol):
    """How far each key is ahead of its rate: the generic cell rate algorithm (ITU-T I.371)."""

    async def take(self, key: str, now_ns: int, step_ns: int, burst_ns: int) -> int:
        """Move a key's time, which is never before now, on by one step, unless that leads too far.

        Returns how far past now that leads, in nanoseconds: if more than burst_ns, nothing was changed.
        """


class ModelProvider(Protocol):
    """A source of completions. Retries and backoff are inside it."""

    name: str

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask once; returns the whole reply. Raises `ProviderFailed` after its own retries."""

    async def close(self) -> None:
        """Release connections. Further calls are not allowed."""


class Parser(Protocol):
    """Bytes to canonical text, in a bounded process."""

    version: str

    async def parse(
        self, source_path: Path, source_name: str, mime_type: str | None, output_dir: Path
    ) -> Parsed | Failure:
        """Write text.txt, meta.json, offsets.json and, if characters are not all one byte, offsets.u64.

        Whatever the input is, the outcome is a value; nothing the input does can hurt the caller.
        """

    async def close(self) -> None:
        """End every process of the parser."""


class StoredParser(Protocol):
    """Documents of the blob store to canonical text in the blob store."""

    async def parse_stored(
        self, uri: str, source_name: str, mime_type: str | None, output_prefix: str
    ) -> Parsed | Failure:
        """Parse an object and store what `Parser.parse` writes below a URI prefix that ends in `/`.

        Raises `ParserFailed` if the parser cannot be reached: that says nothing of the document.
        """


class Tools(Protocol):
    """Custom tools: functions outside the sandbox that step code can call."""

    async def describe(self) -> Sequence[ToolDescription]:
        """Every tool there is. Raises `ToolFailed` if what has them cannot be reached."""

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """What a tool returns for these arguments, as JSON values.

        Raises `ToolFailed` for whatever goes wrong: an unknown name, wrong arguments, the tool's own errors.
        """

    async def close(self) -> None:
        """End what was started for them."""


class Sandbox(Protocol):
    """Where steps run."""

    async def run(self, step: StepRequest, corpus: Corpus) -> StepResult:
        """Run a step to its end or to the sub-calls it needs.

        A suspended step goes on when `run` is called again with the same execution, turn and code and
        with their answers added to `results`; whether the step waited or runs again from its start is
        the runner's own business and gives the same result. Whatever the code does, the result is a
        `StepResult`; `SandboxFailed` means that the runner itself cannot work.
        """

    async def drop(self, execution_id: str) -> None:
        """Let go of the suspended steps of an execution, if any."""

    async def forget(self, tenant_id: str, session_id: str) -> None:
        """Remove whatever is kept of a session's documents so that steps begin faster."""

    async def close(self) -> None:
        """End every process of the runner."""


class SearchIndex(Protocol):
    """Passages of sessions' documents, found by their words (`core.searching`, `core.words`).

    It makes finding faster and is never a source of truth: what is found is read from the text. An index is
    of a session and of what its documents contain; after a crash, building goes on where it stopped.
    """

    name: str

    def identity(self, corpus: Corpus) -> str:
        """What the answers of the index depend on, in hex: texts and places of the documents, the engine."""

    async def is_built(self, corpus: Corpus) -> bool:
        """Whether the documents can be searched, wherever the index was built."""

    async def build(self, corpus: Corpus) -> None:
        """Index all readable documents of a session; does nothing if that was done.

        An index over what the session's documents were before is no longer asked. Raises `SearchFailed`.
        """

    async def query(
        self, corpus: Corpus, query: str, k: int, views: Sequence[View] | None = None
    ) -> Sequence[SearchHit]:
        """The `k` best passages, best first, equal ones in the order of the texts. Any text is a query.

        views: only passages that lie in, or overlap, one of these (None: all documents). Raises
        `SearchNotReady` if the index was not built, and `SearchFailed`.
        """

    async def remove(self, tenant_id: str, session_id: str) -> None:
        """Remove every index of a session. Removing nothing is not an error."""

    async def close(self) -> None:
        """Let go of everything that is open."""


class Embedder(Protocol):
    """Texts to vectors whose directions are close where the texts mean alike."""

    name: str

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """One vector for each text, all of one length. Raises `ProviderFailed` after its own retries."""

    async def close(self) -> None:
        """Release connections."""
