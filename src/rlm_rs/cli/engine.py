"""What the commands ask: the library in this process, or a server through the client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self

import click

from rlm_rs.core.execution import Event

if TYPE_CHECKING:
    from typing import Unpack

    from rlm_rs.cli.options import Shared
    from rlm_rs.core.answers import Answer
    from rlm_rs.core.corpus import Document
    from rlm_rs.core.records import ExecutionRecord
    from rlm_rs.orchestrator.asks import AskOptions
    from rlm_rs.orchestrator.claims import CheckedClaim, Claim
    from rlm_rs.orchestrator.executions import Plan
    from rlm_rs.orchestrator.ingestion import Progress

Listener = Callable[[str, int, Event], None]


class EngineSession(Protocol):
    """A session of an engine."""

    @property
    def documents(self) -> tuple[Document, ...]:
        """Its documents, those that could not be read included."""

    async def aask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """Answer a question over it."""

    async def aplan(self, question: str, **options: Unpack[AskOptions]) -> Plan:
        """What an ask would begin with."""


class Engine(Protocol):
    """The part of `RLM` that commands use; `remote.Remote` is the same over HTTP."""

    def check(self, question: str, **options: Unpack[AskOptions]) -> None:
        """Raise `ValidationFailed` for an ask that could not be made, as far as can be told here."""

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell a listener every event from now on, those of children included."""

    async def asession(
        self, paths: Sequence[str], *, progress: Progress | None = None, fresh: bool = False
    ) -> EngineSession:
        """Parse once."""

    async def aattach(self, session_id: str) -> EngineSession:
        """A session made before."""

    async def aresume(self, execution_id: str) -> Answer:
        """Go on with an execution to its end."""

    async def areport(self, execution_id: str) -> Answer:
        """An execution as its journal has it."""

    async def aevents(self, execution_id: str) -> list[tuple[int, Event]]:
        """Its events so far."""

    async def afind(self, start: str) -> str:
        """The one execution whose id begins so."""

    async def acheck_claims(self, claims: Sequence[Claim]) -> list[CheckedClaim]:
        """Check citations."""

    async def aexecutions(self, limit: int = 100) -> Sequence[ExecutionRecord]:
        """The newest executions."""

    async def __aenter__(self) -> Self:
        """Use it."""

    async def __aexit__(self, *_: object) -> None:
        """End it."""


def open_engine(shared: Shared, **options: Any) -> Engine:
    """The server that was named, by --server or RLM_BASE_URL, else the library; options are those of `RLM`.

    --data-dir is the library's, whatever the environment says.
    """
    from rlm_rs.settings import load_settings

    if shared.server is not None and shared.data_dir is not None:
        raise click.UsageError("Give --server or --data-dir: a server keeps everything itself.")
    if shared.server is None and shared.data_dir is None:
        shared.server = load_settings().rlm_base_url
    if shared.server is not None:
        from rlm_rs.cli.remote import Remote

        return Remote(shared.server, **options)
    from rlm_rs.library import RLM

    return RLM(data_dir=shared.data_dir, **options)
