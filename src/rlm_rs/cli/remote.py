"""A server as the commands use it: `Engine` over the client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any, Self, Unpack

import click

from rlm_rs.cli.engine import Listener
from rlm_rs.client.asking import AsyncClient, AsyncSession
from rlm_rs.core.answers import Answer
from rlm_rs.core.corpus import Document
from rlm_rs.core.errors import ValidationFailed
from rlm_rs.core.execution import Event, SubcallResolved
from rlm_rs.core.records import ExecutionRecord
from rlm_rs.orchestrator.asks import AskOptions
from rlm_rs.orchestrator.claims import CheckedClaim, Claim
from rlm_rs.orchestrator.executions import Plan
from rlm_rs.orchestrator.ingestion import Progress

Sending = Callable[[int, int], None]


class Remote:
    """The server at a URL. sending: told of bytes sent, and of how many in all."""

    def __init__(self, url: str, **options: Any) -> None:
        self.client = AsyncClient(url, **options)
        self.sending: Sending | None = None
        self._listeners: list[Listener] = []
        self._told: dict[str, int] = {}

    def check(self, question: str, **options: Unpack[AskOptions]) -> None:
        """Raise `ValidationFailed` for an empty question; the rest the server checks."""
        if not question.strip():
            raise ValidationFailed(reason="The question is empty.")

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell a listener the events of what is followed from now on."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def asession(
        self, paths: Sequence[str], *, progress: Progress | None = None, fresh: bool = False
    ) -> RemoteSession:
        """Send files; a server parses them anew each time."""
        return RemoteSession(self, await self.client.session(paths, progress=progress, sent=self.sending))

    async def aattach(self, session_id: str) -> RemoteSession:
        """A session the server has."""
        return RemoteSession(self, await self.client.attach(session_id))

    async def aresume(self, execution_id: str) -> Answer:
        """Follow an execution, which the server goes on with itself, from what was read of it to its end."""
        return await self.followed(execution_id, self._told.get(execution_id, -1))

    async def areport(self, execution_id: str) -> Answer:
        """An execution as its journal has it."""
        return await self.client.report(execution_id)

    async def aevents(self, execution_id: str) -> list[tuple[int, Event]]:
        """Its events so far."""
        events = await self.client.events(execution_id)
        self._told[execution_id] = len(events) - 1
        return events

    async def afind(self, start: str) -> str:
        """The one execution whose id begins so."""
        return await self.client.find(start)

    async def acheck_claims(self, claims: Sequence[Claim]) -> list[CheckedClaim]:
        """Check citations."""
        return await self.client.check_claims(claims)

    async def aexecutions(self, limit: int = 100) -> Sequence[ExecutionRecord]:
        """The newest executions."""
        return await self.client.executions(limit)

    async def followed(self, execution_id: str, after: int = -1) -> Answer:
        """The answer, once the listeners were told every event after number `after`."""
        async with aclosing(self.client.follow(execution_id, after)) as events:
            async for seq, event in events:
                await self._tell(execution_id, seq, event)
        return await self.client.resume(execution_id)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def _tell(self, execution_id: str, seq: int, event: Event) -> None:
        if isinstance(event, SubcallResolved) and event.child_id:
            # a child has a journal of its own, which is told as a whole once its parent has its answer
            for number, inner in await self.client.events(event.child_id):
                await self._tell(event.child_id, number, inner)
        for listener in tuple(self._listeners):
            listener(execution_id, seq, event)


class RemoteSession:
    """Documents a server has parsed."""

    def __init__(self, remote: Remote, session: AsyncSession) -> None:
        self._remote, self._session = remote, session

    @property
    def documents(self) -> tuple[Document, ...]:
        """Its documents, those that could not be read included."""
        return self._session.documents

    async def aask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """Ask, and tell the listeners what happens."""
        return await self._remote.followed(await self._session.begin(question, **options))

    async def aplan(self, question: str, **options: Unpack[AskOptions]) -> Plan:
        """A server shows no plan."""
        raise click.UsageError("--dry-run works on this machine; leave --server out.")
