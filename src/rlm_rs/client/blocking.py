"""`Client`: `AsyncClient` for synchronous code, each method waited for.

from rlm_rs import Client

with Client("https://rlm.example.com", api_key="rlm_key_…") as client:
    print(client.ask("Which agreements renew automatically?", ["contracts/"]))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO, Self, TypedDict, Unpack

from rlm_rs.client.asking import AsyncClient, AsyncSession, Paths
from rlm_rs.client.uploads import Sent
from rlm_rs.core.corpus import Document
from rlm_rs.orchestrator.ingestion import Progress
from rlm_rs.sandbox.protocol import ContextShape
from rlm_rs.waiting import LoopThread, iterating, waiting


class Session:
    """`AsyncSession`, waited for."""

    def __init__(self, behind: AsyncSession, loop: LoopThread) -> None:
        self.behind, self.loop = behind, loop

    @property
    def session_id(self) -> str:
        """Its id."""
        return self.behind.session_id

    @property
    def documents(self) -> tuple[Document, ...]:
        """Its documents, those that could not be read included."""
        return self.behind.documents

    ask = waiting(AsyncSession.ask)
    stream = iterating(AsyncSession.stream)
    begin = waiting(AsyncSession.begin)
    delete = waiting(AsyncSession.delete)


class ClientOptions(TypedDict, total=False):
    """What `AsyncClient` can be told besides the server."""

    root_model: str
    sub_model: str
    budgets: Mapping[str, Any]
    context_shape: ContextShape
    search: bool | None
    ttl_minutes: int
    seconds: float
    max_retries: int


class Client:
    """`AsyncClient` with the same arguments, for synchronous code. `close` it, or use it in a `with`."""

    def __init__(
        self, base_url: str | None = None, api_key: str | None = None, **options: Unpack[ClientOptions]
    ) -> None:
        self.behind = AsyncClient(base_url, api_key, **options)
        self.loop = LoopThread()

    ask = waiting(AsyncClient.ask)
    stream = iterating(AsyncClient.stream)
    resume = waiting(AsyncClient.resume)
    report = waiting(AsyncClient.report)
    events = waiting(AsyncClient.events)
    follow = iterating(AsyncClient.follow)
    find = waiting(AsyncClient.find)
    executions = waiting(AsyncClient.executions)
    verify = waiting(AsyncClient.verify)
    check_claims = waiting(AsyncClient.check_claims)
    cancel = waiting(AsyncClient.cancel)
    begin = waiting(AsyncClient.begin)

    upload = waiting(AsyncClient.upload)
    create_session = waiting(AsyncClient.create_session)
    get_session = waiting(AsyncClient.get_session)
    list_sessions = waiting(AsyncClient.list_sessions)
    delete_session = waiting(AsyncClient.delete_session)
    start_execution = waiting(AsyncClient.start_execution)
    get_execution = waiting(AsyncClient.get_execution)
    list_executions = waiting(AsyncClient.list_executions)
    wait_execution = waiting(AsyncClient.wait_execution)
    cancel_execution = waiting(AsyncClient.cancel_execution)
    get_events = waiting(AsyncClient.get_events)
    get_trace = waiting(AsyncClient.get_trace)
    create_runtime = waiting(AsyncClient.create_runtime)
    step = waiting(AsyncClient.step)
    resolve_tools = waiting(AsyncClient.resolve_tools)
    get_span = waiting(AsyncClient.get_span)
    verify_citation = waiting(AsyncClient.verify_citation)

    _session = waiting(AsyncClient.session)
    _attach = waiting(AsyncClient.attach)

    def session(
        self,
        paths: Paths,
        *,
        progress: Progress | None = None,
        sent: Sent | None = None,
        stdin: BinaryIO | None = None,
    ) -> Session:
        """Send files once, ask often; as `AsyncClient.session`."""
        return Session(self._session(paths, progress=progress, sent=sent, stdin=stdin), self.loop)

    def attach(self, session_id: str) -> Session:
        """A session the server has already, once it is ready."""
        return Session(self._attach(session_id), self.loop)

    def close(self) -> None:
        """End every connection, what is under way and the thread that waits; a second time does nothing."""
        self.loop.stop(self.behind.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
