"""`AsyncClient`: the library's asks, over the HTTP API.

async with AsyncClient("https://rlm.example.com", api_key="rlm_key_…") as client:
    answer = await client.ask("Which agreements renew automatically?", ["contracts/"])
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict
from os import PathLike, fspath
from pathlib import Path
from typing import Any, BinaryIO, Self, Unpack

from rlm_rs.api.views import CitationView, ExecutionOut, SessionOut, VerifiedOut
from rlm_rs.client.routes import DAY_MINUTES, Routes
from rlm_rs.client.uploads import Sent
from rlm_rs.client.values import (
    answer_of,
    documents_of,
    record_of,
    ref_of,
    verification_of,
)
from rlm_rs.core.answers import Answer, Value, answered
from rlm_rs.core.corpus import Document, IngestStatus, Source
from rlm_rs.core.errors import ExecutionNotFound, SessionNotFound, SessionNotReady, ValidationFailed
from rlm_rs.core.execution import Event
from rlm_rs.core.records import ExecutionRecord, ExecutionStatus, SessionStatus
from rlm_rs.core.spans import SpanRef
from rlm_rs.orchestrator.asks import AskOptions, held_to, typed
from rlm_rs.orchestrator.claims import CheckedClaim, Claim, agreeing
from rlm_rs.orchestrator.executions import ID_PREFIX, only_one
from rlm_rs.orchestrator.ingestion import UNKNOWN_MIME, Progress
from rlm_rs.orchestrator.verifying import Verification
from rlm_rs.sandbox.protocol import ContextShape
from rlm_rs.wiring.sources import find_sources

Paths = str | PathLike[str] | Sequence[str | PathLike[str]]

AT_ONCE = 8
"""Uploads, and checks of citations, under way together."""

PAGE_ROWS = 500
WAIT_SECONDS = 60.0
FIRST_LOOK_SECONDS, SLOWEST_LOOK_SECONDS = 0.05, 2.0


class AsyncClient(Routes):
    """A server of the HTTP API with the library's names and results; the routes themselves are methods too.

    root_model, sub_model, budgets, context_shape: as of `RLM`. search: whether the sessions it makes get a
    search index (None: as the server's default is). ttl_minutes: how long they live. Errors are the
    library's, by the code the server names; `ServerUnreachable` and `ServerUnreadable` besides.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        root_model: str | None = None,
        sub_model: str | None = None,
        budgets: Mapping[str, Any] | None = None,
        context_shape: ContextShape = "documents",
        search: bool | None = None,
        ttl_minutes: int = DAY_MINUTES,
        seconds: float = 60.0,
        max_retries: int = 4,
    ) -> None:
        super().__init__(base_url, api_key, seconds=seconds, max_retries=max_retries)
        named = {"root_model": root_model, "sub_model": sub_model}
        self._models = {name: model for name, model in named.items() if model}
        self._budgets = dict(budgets or {})
        self._context_shape = context_shape
        self._session_options = None if search is None else {"enable_search": search}
        self._ttl_minutes = ttl_minutes

    async def ask(
        self,
        question: str,
        paths: Paths | None = None,
        *,
        output: type[Value] | None = None,
        progress: Progress | None = None,
        **options: Unpack[AskOptions],
    ) -> Answer[Value]:
        """Answer a question over files, folders, globs or archives, which are sent to the server.

        output: a type that `answer.value` is an instance of, as in `RLM.aask`. options: those of
        `AskOptions`; with `continue_from` paths may be left out. Raises `ExecutionFailed`, which carries the
        result so far, when there is no answer; a partial answer is returned with `partial` set.
        """
        session = await self._session_of(paths, options, progress)
        return await session.ask(question, output=output, **options)

    async def stream(
        self, question: str, paths: Paths, **options: Unpack[AskOptions]
    ) -> AsyncGenerator[Event | Answer]:
        """The events of an ask as they are recorded, and at last the answer."""
        session = await self._session_of(paths, options)
        async with aclosing(session.stream(question, **options)) as items:
            async for item in items:
                yield item

    async def session(
        self,
        paths: Paths,
        *,
        progress: Progress | None = None,
        sent: Sent | None = None,
        stdin: BinaryIO | None = None,
    ) -> AsyncSession:
        """Send files once, ask often. stdin: what `-` reads.

        sent(bytes so far, bytes in all) follows the uploads, progress(done, total, document) the parsing.
        Raises `SessionNotReady` if not one of the files can be read.
        """
        spool = await asyncio.to_thread(tempfile.mkdtemp, prefix="rlm-")
        try:
            sources = await asyncio.to_thread(find_sources, _as_list(paths), Path(spool), stdin)
            docs = await self._sent([source for source in sources if source.failure is None], sent)
        finally:
            shutil.rmtree(spool, ignore_errors=True)
        made = await self.create_session(docs, ttl_minutes=self._ttl_minutes, options=self._session_options)
        left = tuple(
            _unsent(source, len(docs) + number)
            for number, source in enumerate(source for source in sources if source.failure)
        )
        return AsyncSession(self, await self._ready(made, progress), left)

    async def attach(self, session_id: str) -> AsyncSession:
        """A session the server has already, once it is ready."""
        return AsyncSession(self, await self._ready(await self.get_session(session_id), None))

    async def resume(self, execution_id: str) -> Answer:
        """The answer of an execution, once the server has come to its end."""
        return answered(await self.report_of(await self.ended(execution_id)))

    async def report(self, execution_id: str) -> Answer:
        """The answer of an execution as its journal has it, finished or not."""
        return await self.report_of(await self.get_execution(execution_id))

    async def events(self, execution_id: str) -> list[tuple[int, Event]]:
        """The numbered events of an execution so far. Raises `ExecutionNotFound`."""
        from_page: list[tuple[int, Event]] = []
        cursor: str | None = None
        while page := await self.get_events(execution_id, PAGE_ROWS, cursor):
            from_page += [(row.seq, row.data) for row in page.events]
            if len(page.events) < PAGE_ROWS:
                break
            cursor = page.next_cursor
        return from_page

    async def find(self, start: str) -> str:
        """The id of the one execution whose id begins so. Raises `ExecutionNotFound`, `ValidationFailed`."""
        wanted = start if start.startswith(ID_PREFIX) else ID_PREFIX + start
        try:
            return (await self.get_execution(wanted)).execution_id
        except ExecutionNotFound:
            rows = [row async for row in self._rows()] if start else []
        return only_one(start, [row.execution_id for row in rows if row.execution_id.startswith(wanted)])

    async def executions(self, limit: int = 100) -> Sequence[ExecutionRecord]:
        """The newest executions, newest first."""
        found: list[ExecutionRecord] = []
        async for row in self._rows(limit):
            found.append(row)
            if len(found) == limit:
                break
        return found

    async def verify(self, ref: SpanRef) -> Verification:
        """Recompute a citation from the text the server has stored."""
        return verification_of(await self.verify_citation(_ref(ref)))

    async def check_claims(self, claims: Sequence[Claim]) -> list[CheckedClaim]:
        """Check citations that came back from outside."""
        return [await self._checked(claim) for claim in claims]

    async def cancel(self, execution_id: str) -> Answer:
        """Stop an execution: what it has come to."""
        return await self.report_of(await self.cancel_execution(execution_id))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def begin(self, session_id: str, question: str, **options: Unpack[AskOptions]) -> str:
        """Put a question to a session; the id of the execution that answers it."""
        if not question.strip():
            raise ValidationFailed(reason="The question is empty.")
        mode = options.get("output_mode", "ANSWER")
        started = await self.start_execution(
            session_id,
            question,
            models=self._models or None,
            budgets={**self._budgets, **(options.get("budgets") or {})} or None,
            options={"output_mode": mode, "context_shape": self._context_shape},
            continue_from=options.get("continue_from"),
            output_schema=options.get("output_schema"),
        )
        return started.execution_id

    async def ended(self, execution_id: str) -> ExecutionOut:
        """The execution once it has ended, however long that takes."""
        while True:
            found = await self.wait_execution(execution_id, WAIT_SECONDS)
            if found.status != ExecutionStatus.RUNNING:
                return found

    async def report_of(self, execution: ExecutionOut) -> Answer:
        """The answer of an execution, each of its citations recomputed by the server."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def check(citation: CitationView) -> VerifiedOut:
            async with slots:
                return await self.verify_citation(ref_of(citation))

        session = await self.get_session(execution.session_id)
        checks = await asyncio.gather(*(check(citation) for citation in execution.citations))
        return answer_of(execution, session, checks)

    async def _session_of(
        self, paths: Paths | None, options: AskOptions, progress: Progress | None = None
    ) -> AsyncSession:
        if paths is not None:
            return await self.session(paths, progress=progress)
        earlier = options.get("continue_from")
        if earlier is None:
            raise ValidationFailed(reason="Name the files to ask about.")
        return await self.attach((await self.get_execution(earlier)).session_id)

    async def _sent(self, sources: Sequence[Source], sent: Sent | None) -> list[dict[str, Any]]:
        slots, total, done = asyncio.Semaphore(AT_ONCE), sum(s.byte_length for s in sources), 0

        async def send(source: Source) -> dict[str, Any]:
            nonlocal done
            async with slots:
                made = await self.upload(source.path, source.source_name)
            done += source.byte_length
            if sent:
                sent(done, total)
            named = {"source_name": source.source_name, "mime_type": source.mime_type}
            return {**named, "raw_s3_uri": made.raw_s3_uri}

        tasks = [asyncio.ensure_future(send(source)) for source in sources]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ready(self, session: SessionOut, progress: Progress | None) -> SessionOut:
        """The session once it can be asked."""
        told: set[str] = set()
        pause = FIRST_LOOK_SECONDS
        while True:
            for document in documents_of(session.docs):
                settled = document.readable or document.ingest_status == IngestStatus.FAILED
                if progress and settled and document.doc_id not in told:
                    told.add(document.doc_id)
                    progress(len(told), len(session.docs), document)
            if session.readiness.ready:
                return session
            if session.status != SessionStatus.CREATING:
                raise SessionNotReady(_why_unreadable(session), session_id=session.session_id)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, SLOWEST_LOOK_SECONDS)
            session = await self.get_session(session.session_id)

    async def _rows(self, limit: int = PAGE_ROWS) -> AsyncIterator[ExecutionRecord]:
        cursor: str | None = None
        while True:
            page = await self.list_executions(min(limit, PAGE_ROWS), cursor)
            for row in page.executions:
                yield record_of(row)
            if (cursor := page.next_cursor) is None:
                return

    async def _checked(self, claim: Claim) -> CheckedClaim:
        try:
            found = await self.verify_citation(_ref(claim.ref))
        except SessionNotFound as error:
            return CheckedClaim(claim, Verification(False, reason=error.message))
        return CheckedClaim(claim, agreeing(claim, verification_of(found)), found.page)


class AsyncSession:
    """Documents the server has parsed; ask as often as you like. `documents` tells which could be read."""

    def __init__(self, client: AsyncClient, session: SessionOut, unsent: tuple[Document, ...] = ()) -> None:
        self._client = client
        self.session_id = session.session_id
        self.documents = documents_of(session.docs) + unsent

    async def ask(
        self, question: str, *, output: type[Value] | None = None, **options: Unpack[AskOptions]
    ) -> Answer[Value]:
        """Answer a question over the session's documents; output and options as in `AsyncClient.ask`."""
        execution_id = await self.begin(question, **held_to(output, options))
        return typed(await self._client.resume(execution_id), output)

    async def stream(self, question: str, **options: Unpack[AskOptions]) -> AsyncGenerator[Event | Answer]:
        """The events of an ask as they are recorded, and at last the answer."""
        execution_id = await self.begin(question, **options)
        async with aclosing(self._client.follow(execution_id)) as events:
            async for _, event in events:
                yield event
        yield await self._client.resume(execution_id)

    async def begin(self, question: str, **options: Unpack[AskOptions]) -> str:
        """Put a question to it; the id of the execution that answers it."""
        return await self._client.begin(self.session_id, question, **options)

    async def delete(self) -> None:
        """Remove it from the server, with everything of it."""
        await self._client.delete_session(self.session_id)


def _unsent(source: Source, doc_index: int) -> Document:
    """A file that cannot even be sent: it was never a document of the server."""
    return Document(
        "",
        doc_index,
        source.source_name,
        source.mime_type or UNKNOWN_MIME,
        IngestStatus.FAILED,
        source.failure,
    )


def _why_unreadable(session: SessionOut) -> str:
    failed = [doc for doc in session.docs if doc.failure_reason]
    if not failed:
        return f"Session {session.session_id} is {session.status}."
    more = f" ({len(failed) - 1} more failed too)" if len(failed) > 1 else ""
    return f"{failed[0].source_name}: {failed[0].failure_reason}{more}"


def _ref(ref: SpanRef) -> dict[str, Any]:
    return asdict(ref)


def _as_list(paths: Paths) -> list[str]:
    if isinstance(paths, str | PathLike):
        return [fspath(paths)]
    return [fspath(path) for path in paths]
