"""The Python library: `RLM().ask(question, paths)`, sync and async, with the same names.

from rlm_rs import RLM

answer = RLM().ask("Which agreements renew automatically?", ["contracts/"])
print(answer)
for citation in answer.citations:
    print(citation.source_name, citation.page, citation.text)
"""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, Unpack

from rlm_rs.core.answers import Answer, Value, answered
from rlm_rs.core.corpus import Corpus, Document
from rlm_rs.core.errors import ExecutionNotFound, ValidationFailed
from rlm_rs.core.execution import Event, Finished
from rlm_rs.core.ports import ModelProvider
from rlm_rs.core.records import ExecutionRecord
from rlm_rs.core.spans import SpanRef
from rlm_rs.orchestrator.answerer import answer
from rlm_rs.orchestrator.asks import AskOptions, held_to, typed
from rlm_rs.orchestrator.claims import CheckedClaim, Claim, check_claims
from rlm_rs.orchestrator.event_log import Listener, replayed
from rlm_rs.orchestrator.executions import Ask, Plan, checked, find, go_on, plan, recent, report, start
from rlm_rs.orchestrator.indexing import index_documents
from rlm_rs.orchestrator.ingestion import Progress
from rlm_rs.orchestrator.sessions import corpus_of, create_corpus, find_corpus, fingerprint_of
from rlm_rs.orchestrator.streaming import streamed
from rlm_rs.orchestrator.verifying import Verification, verify
from rlm_rs.sandbox.protocol import ContextShape
from rlm_rs.settings import Settings, load_settings
from rlm_rs.waiting import LoopThread, iterating, waiting
from rlm_rs.wiring import Wiring, wire
from rlm_rs.wiring.on_a_loop import WiringOnALoop
from rlm_rs.wiring.tools import mcp_servers as read_servers

Paths = str | PathLike[str] | Sequence[str | PathLike[str]]

LOCAL_TENANT = "local"


class RLM:
    """Recursive Language Models over files, in this process.

    root_model, sub_model: names at the provider; by default those of the settings. provider: a
    `ModelProvider` of your own (`rlm_rs.testing.models.ScriptedModel`, for one). data_dir: where sessions
    and journals are kept. budgets: fields of `Budgets` to replace. tools: functions that step code can call.
    mcp_servers: MCP servers whose tools it can call, `{"name": {"command": …, "args": […]}}` or
    `{"name": {"url": …}}`, besides those of the settings. search: True indexes documents before they are
    asked, False takes search away from the steps; None builds the index when a step first searches, or as
    ENABLE_SEARCH_DEFAULT says. Other settings come from the environment
    (`rlm_rs.settings.Settings`).

    It works on one event loop at a time, any thread may ask, and it goes with the process that made it.
    """

    def __init__(
        self,
        *,
        root_model: str | None = None,
        sub_model: str | None = None,
        provider: ModelProvider | None = None,
        data_dir: str | PathLike[str] | None = None,
        budgets: Mapping[str, Any] | None = None,
        tools: Sequence[Callable[..., Any]] = (),
        mcp_servers: Mapping[str, Any] | None = None,
        context_shape: ContextShape = "documents",
        search: bool | None = None,
        settings: Settings | None = None,
        tenant_id: str = LOCAL_TENANT,
    ) -> None:
        chosen = Path(fspath(data_dir)) if data_dir is not None else None
        self._settings = settings or load_settings(rlm_data_dir=chosen)
        if mcp_servers:
            servers = {**self._settings.mcp_servers, **read_servers(mcp_servers)}
            self._settings = self._settings.model_copy(update={"mcp_servers": servers})
        self._functions = tuple(tools)
        self._provider = provider
        self._models = (root_model, sub_model)
        self._budgets = dict(budgets or {})
        self._context_shape: ContextShape = context_shape
        self._search = search if search is not None else (self._settings.enable_search_default or None)
        self._tenant_id = tenant_id
        self._parts = WiringOnALoop(self._wired, provider)
        self._loop: LoopThread | None = None
        self._making = threading.Lock()

    # ---- asynchronous

    async def aask(
        self,
        question: str,
        paths: Paths | None = None,
        *,
        output: type[Value] | None = None,
        progress: Progress | None = None,
        **options: Unpack[AskOptions],
    ) -> Answer[Value]:
        """Answer a question over files, folders, globs or archives.

        output: a Pydantic model, a dataclass or another type that `pydantic.TypeAdapter` knows:
        `answer.value` is an instance of it. options: those of `AskOptions`; with `continue_from` paths may be
        left out. Raises `ExecutionFailed`, which carries the result so far, when there is no answer; a
        partial answer is returned with `partial` set.
        """
        wanted = held_to(output, options)
        ask = self._ask(question, **wanted)
        return typed(await self._answered(ask, await self._corpus(ask, paths, progress)), output)

    async def astream(
        self, question: str, paths: Paths | None = None, **options: Unpack[AskOptions]
    ) -> AsyncGenerator[Event | Answer]:
        """The events of an ask as they are recorded, and at last the answer."""
        ask = self._ask(question, **options)
        async with aclosing(self._streamed(ask, await self._corpus(ask, paths))) as items:
            async for item in items:
                yield item

    async def asession(
        self,
        paths: Paths,
        *,
        progress: Progress | None = None,
        stdin: BinaryIO | None = None,
        fresh: bool = False,
    ) -> Session:
        """Parse once, ask often. stdin: what `-` reads. fresh: parse again even if the files are known."""
        return Session(self, await self.aprepare(paths, progress=progress, stdin=stdin, fresh=fresh))

    async def aattach(self, session_id: str) -> Session:
        """A session made before. Raises `SessionNotFound`."""
        return Session(self, await corpus_of(self._tenant_id, session_id, self.wiring.ports.catalog))

    async def aresume(self, execution_id: str) -> Answer:
        """Go on with an execution that was interrupted; no recorded call is paid again.

        Raises `ValidationFailed` if the provider of now cannot play its models.
        """
        run = await replayed(self.wiring.ports.log, self._tenant_id, execution_id)
        if run.finished is None:
            self.wiring.check_models(run.execution.models)
        run, corpus = await go_on(self._tenant_id, execution_id, self.wiring.ports)
        return answered(await report(run, corpus, self.wiring.ports))

    async def areport(self, execution_id: str) -> Answer:
        """The answer of an execution as its journal has it, finished or not; nothing goes on."""
        ports = self.wiring.ports
        run = await replayed(ports.log, self._tenant_id, execution_id)
        return await report(
            run, await corpus_of(self._tenant_id, run.execution.session_id, ports.catalog), ports
        )

    async def aevents(self, execution_id: str) -> list[tuple[int, Event]]:
        """The numbered events of an execution. Raises `ExecutionNotFound`."""
        events = await self.wiring.ports.log.events(self._tenant_id, execution_id)
        if not events:
            raise ExecutionNotFound(execution_id=execution_id)
        return events

    async def afind(self, start: str) -> str:
        """The id of the one execution whose id begins so. Raises `ExecutionNotFound`, `ValidationFailed`."""
        return await find(self._tenant_id, start, self.wiring.ports)

    async def acheck_claims(self, claims: Sequence[Claim]) -> list[CheckedClaim]:
        """Check citations that came back from outside."""
        return await check_claims(self._tenant_id, claims, self.wiring.ports)

    async def averify(self, ref: SpanRef) -> Verification:
        """Recompute a citation from the stored text."""
        ports = self.wiring.ports
        corpus = await corpus_of(self._tenant_id, ref.session_id, ports.catalog)
        return await verify(ref, corpus, ports.texts)

    async def aexecutions(self, limit: int = 100) -> Sequence[ExecutionRecord]:
        """The newest executions, newest first."""
        return await recent(self._tenant_id, limit, self.wiring.ports)

    async def aprepare(
        self,
        paths: Paths,
        *,
        progress: Progress | None = None,
        stdin: BinaryIO | None = None,
        fresh: bool = False,
    ) -> Corpus:
        """A session over these paths: the one made before if their content is the same, else a new one."""
        wiring, spool = self.wiring, self.wiring.spool_dir()
        ports = wiring.ports
        try:
            found = await asyncio.to_thread(wiring.sources, _as_list(paths), spool, stdin)
            fingerprint = await fingerprint_of(found, wiring.parser.version)
            known = None
            if not fresh:
                known = await find_corpus(self._tenant_id, fingerprint.whole, ports.catalog, ports.texts)
            ingestion = wiring.ingestion(self._tenant_id)
            if self._search and ports.search is None:
                raise ValidationFailed(reason=f"Nothing can be indexed here: {wiring.search_detail}")
            corpus = known or await create_corpus(ingestion, found, ports.catalog, fingerprint, progress)
            return await index_documents(corpus, ports) if self._search else corpus
        finally:
            shutil.rmtree(spool, ignore_errors=True)

    async def aclose(self) -> None:
        """End every process and connection."""
        await self._parts.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # ---- synchronous: the same, on a thread of its own, so that it also works where a loop runs already

    ask = waiting(aask)
    stream = iterating(astream)
    resume = waiting(aresume)
    report = waiting(areport)
    events = waiting(aevents)
    find = waiting(afind)
    check_claims = waiting(acheck_claims)
    verify = waiting(averify)
    executions = waiting(aexecutions)
    session = waiting(asession)
    attach = waiting(aattach)

    def close(self) -> None:
        """`aclose`, waiting."""
        if self._loop is not None or self._parts.made:
            self.loop.stop(self.aclose)
        self._loop = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- inside

    @property
    def wiring(self) -> Wiring:
        """The wired parts, made at first use, for the event loop of that use; anew once it is closed."""
        return self._parts.get()

    def _wired(self) -> Wiring:
        return wire(self._settings, provider=self._provider, functions=self._functions)

    @property
    def model_names(self) -> tuple[str | None, str | None]:
        """Root and sub model as they were named to it; None where the settings decide."""
        return self._models

    @property
    def tenant_id(self) -> str:
        """The tenant whose data this is."""
        return self._tenant_id

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(execution_id, seq, event)` for every event once it is recorded, those of child
        executions included; returns what stops it."""
        return self._parts.listen(listener)

    def check(self, question: str, **options: Unpack[AskOptions]) -> None:
        """Raise `ValidationFailed` for an ask that could not be made, before any file is read."""
        self._ask(question, **options)

    def _ask(self, question: str, **options: Unpack[AskOptions]) -> Ask:
        ask = Ask(
            question=question,
            models=self.wiring.models(*self._models),
            budgets=self._settings.budgets({**self._budgets, **(options.get("budgets") or {})}),
            output_mode=options.get("output_mode", "ANSWER"),
            context_shape=self._context_shape,
            continue_from=options.get("continue_from"),
            output_schema=options.get("output_schema"),
            search=self._search is not False and self.wiring.ports.search is not None,
        )
        return checked(ask, self.wiring.ports)

    async def _corpus(self, ask: Ask, paths: Paths | None, progress: Progress | None = None) -> Corpus:
        if paths is not None:
            return await self.aprepare(paths, progress=progress)
        if ask.continue_from is None:
            raise ValidationFailed(reason="Name the files to ask about.")
        ports = self.wiring.ports
        run = await replayed(ports.log, self._tenant_id, ask.continue_from)
        return await corpus_of(self._tenant_id, run.execution.session_id, ports.catalog)

    async def _answered(self, ask: Ask, corpus: Corpus) -> Answer:
        ports = self.wiring.ports
        run = await answer(await start(ask, corpus, ports), corpus, ports)
        return answered(await report(run, corpus, ports))

    def _streamed(self, ask: Ask, corpus: Corpus) -> AsyncGenerator[Event | Answer]:
        return streamed(ask, corpus, self.wiring.ports)

    @property
    def behind(self) -> Self:
        """What the synchronous methods call: itself."""
        return self

    @property
    def loop(self) -> LoopThread:
        """Where the synchronous methods' work is done, made at first use."""
        with self._making:
            if self._loop is None:
                self._loop = LoopThread()
            return self._loop


class Session:
    """Documents parsed once; ask as often as you like. `documents` tells which could be read."""

    def __init__(self, rlm: RLM, corpus: Corpus) -> None:
        self._rlm = rlm
        self._corpus = corpus

    @property
    def session_id(self) -> str:
        """Its id."""
        return self._corpus.session_id

    @property
    def documents(self) -> tuple[Document, ...]:
        """Its documents, those that could not be read included."""
        return self._corpus.documents

    async def atext(self, document: Document) -> str:
        """A document's whole canonical text, decoded: for what fits in memory."""
        return await self._rlm.wiring.ports.texts.read(document, 0, document.char_length)

    async def aask(
        self, question: str, *, output: type[Value] | None = None, **options: Unpack[AskOptions]
    ) -> Answer[Value]:
        """Answer a question over the session's documents; output and options as in `RLM.aask`."""
        ask = self._rlm._ask(question, **held_to(output, options))
        return typed(await self._rlm._answered(ask, self._corpus), output)

    async def abegin(self, question: str, **options: Unpack[AskOptions]) -> str:
        """Record an execution and nothing more; `RLM.aresume` with the id returned answers it.

        So the id can be kept before anything is paid for.
        """
        ports = self._rlm.wiring.ports
        run = await start(self._rlm._ask(question, **options), self._corpus, ports)
        return run.execution.execution_id

    async def astream(self, question: str, **options: Unpack[AskOptions]) -> AsyncGenerator[Event | Answer]:
        """The events of an ask as they are recorded, and at last the answer."""
        async with aclosing(self._rlm._streamed(self._rlm._ask(question, **options), self._corpus)) as items:
            async for item in items:
                yield item

    async def aplan(self, question: str, **options: Unpack[AskOptions]) -> Plan:
        """What an ask would begin with: its models, budgets, first prompt. No model is called."""
        return await plan(self._rlm._ask(question, **options), self._corpus, self._rlm.wiring.ports)

    ask = waiting(aask)
    stream = iterating(astream)
    plan = waiting(aplan)

    @property
    def behind(self) -> Self:
        """What the synchronous methods call: itself."""
        return self

    @property
    def loop(self) -> LoopThread:
        """Where the synchronous methods' work is done."""
        return self._rlm.loop


def _as_list(paths: Paths) -> list[str]:
    if isinstance(paths, str | PathLike):
        return [fspath(paths)]
    return [fspath(path) for path in paths]


__all__ = ["RLM", "Answer", "Finished", "Session"]
