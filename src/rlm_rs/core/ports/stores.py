"""Where things are kept: journal, objects, rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

from rlm_rs.core.records import (
    DocumentRecord,
    EvaluationRecord,
    ExecutionRecord,
    ExecutionStatus,
    SessionRecord,
    SessionStatus,
)


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

    def stream(
        self,
        uri: str,
        chunk_bytes: int = 8 << 20,
        version_id: str | None = None,
        etag: str | None = None,
    ) -> AsyncIterator[bytes]:
        """The object in order, in pieces of about `chunk_bytes`. Raises `BlobNotFound`.

        version_id: that version of it, where the store keeps versions. etag: only if it has this ETag, which
        is the MD5 of its bytes in hex, or what S3 gave for it. Raises `BlobChanged` before the first piece if
        there is no such version, or it has another ETag.
        """

    async def list(self, prefix: str) -> Sequence[str]:
        """URIs of all objects below a URI prefix that ends in `/`, sorted."""

    async def delete(self, uri: str) -> None:
        """Remove an object. Removing nothing is not an error."""

    async def delete_prefix(self, prefix: str) -> None:
        """Remove all objects below a URI prefix that ends in `/`."""

    def local_path(self, uri: str) -> Path | None:
        """Where the object lies as a file of this machine, or None if it does not."""


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
        """Write document rows; replaces those with the same session and id.

        Those of a session that is not here, or no more, are not written.
        """

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
