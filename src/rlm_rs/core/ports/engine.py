"""What does the work: models, parser, sandbox, search, tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from rlm_rs.core.corpus import Corpus, Failure, Parsed
from rlm_rs.core.model import ModelReply, ModelRequest
from rlm_rs.core.searching import SearchHit
from rlm_rs.sandbox.protocol import StepRequest, StepResult, ToolDescription, View


class ModelProvider(Protocol):
    """A source of completions. Retries and backoff are inside it."""

    name: str

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask once; returns the whole reply. Raises `ProviderFailed` after its own retries."""

    async def close(self) -> None:
        """Release connections. Further calls are not allowed."""


class Embedder(Protocol):
    """Texts to vectors whose directions are close where the texts mean alike."""

    name: str

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """One vector for each text, all of one length. Raises `ProviderFailed` after its own retries."""

    async def close(self) -> None:
        """Release connections."""


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
        self,
        uri: str,
        source_name: str,
        mime_type: str | None,
        output_prefix: str,
        version_id: str | None = None,
        etag: str | None = None,
    ) -> Parsed | Failure:
        """Parse an object and store what `Parser.parse` writes below a URI prefix that ends in `/`.

        version_id, etag: which object it must be, as `Blobs.stream` has them; another one is a `Failure`.
        Raises `ParserFailed` if the parser cannot be reached: that says nothing of the document.
        """


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


class Fence(Protocol):
    """What bounds the files that somebody who is not trusted may name."""

    def holds(self, path: Path) -> bool:
        """Whether a path, once every link in it is followed, is inside."""

    def take(self, path: Path, copy: Path) -> None:
        """Copy a file that is inside to `copy`, a new file: what is read later cannot be exchanged.

        Raises `PermissionError` for one outside, and `OSError` or `ValidationFailed` for one that cannot be
        had.
        """
