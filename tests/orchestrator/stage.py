"""A whole execution in memory: stored documents, a scripted model, the real step program in this process."""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import orjson

from rlm_rs.core.budget import Budgets
from rlm_rs.core.corpus import Corpus, Document, IngestStatus
from rlm_rs.core.execution import Event, Execution, Finished, Models, Run, StepRan, SubcallResolved
from rlm_rs.core.model import ModelReply, ModelRequest
from rlm_rs.core.ports import Blobs
from rlm_rs.core.pricing import Price
from rlm_rs.orchestrator.answerer import answer
from rlm_rs.orchestrator.completions import Completions
from rlm_rs.orchestrator.event_log import EventLog, replayed
from rlm_rs.orchestrator.output_schema import JsonSchemas
from rlm_rs.orchestrator.ports import Ports
from rlm_rs.orchestrator.texts import DocumentTexts
from rlm_rs.runners.image import CorpusImages
from rlm_rs.sandbox.corpus import MappedCorpus
from rlm_rs.sandbox.executor import ReplayOnly, run_step
from rlm_rs.sandbox.protocol import StepRequest, StepResult
from rlm_rs.storage.blobs import MemoryBlobs
from rlm_rs.storage.memory import MemoryCatalog, MemoryJournal
from rlm_rs.testing.models import Answering, Line, ScriptedModel

TENANT, SESSION, BUCKET = "local", "sess_1", "bucket"
CHECKPOINT = 4096


def step(code: str) -> str:
    """A root reply that writes this code."""
    return f"Let me see.\n```repl\n{code}\n```\n"


def by_turn(*replies: str | Callable[[ModelRequest], str]) -> Answering:
    """A root model that gives its n-th reply to a conversation of n turns, however often it is asked."""

    def reply(request: ModelRequest) -> str | ModelReply | Exception:
        turn = sum(message.role == "assistant" for message in request.messages)
        line = replies[min(turn, len(replies) - 1)]
        return line(request) if callable(line) else line

    return reply


class InProcessSandbox:
    """Runs the real step program here, always again from the record. For trusted test code only."""

    def __init__(self, blobs: Blobs, directory: Path) -> None:
        self._images = CorpusImages(blobs, directory)
        self.steps: list[StepRequest] = []
        self.dropped: list[str] = []

    async def run(self, step: StepRequest, corpus: Corpus) -> StepResult:
        self.steps.append(step)
        image = await self._images.ensure(corpus)
        descriptors = [os.open(path, os.O_RDONLY) for path in image.paths]
        try:
            return run_step(step, MappedCorpus.open(descriptors), ReplayOnly())
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    async def drop(self, execution_id: str) -> None:
        self.dropped.append(execution_id)

    async def forget(self, tenant_id: str, session_id: str) -> None:
        await self._images.remove(tenant_id, session_id)

    async def close(self) -> None:
        """Nothing to end."""


class RecordingJournal(MemoryJournal):
    """A memory journal that remembers the order of all appends, over all executions."""

    def __init__(self) -> None:
        super().__init__()
        self.appended: list[tuple[str, int, bytes]] = []

    async def append(self, execution_id: str, seq: int, record: bytes) -> None:
        await super().append(execution_id, seq, record)
        self.appended.append((execution_id, seq, record))

    async def cut(self, count: int) -> RecordingJournal:
        """A copy that holds the first appends only, as a crash right after them would leave it."""
        copy = RecordingJournal()
        for entry in self.appended[:count]:
            await copy.append(*entry)
        return copy


@dataclass
class Stage:
    """The ports of one worker, what they store, and the executions started here."""

    corpus: Corpus
    model: ScriptedModel
    blobs: MemoryBlobs
    directory: Path
    journal: RecordingJournal = field(default_factory=RecordingJournal)
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.log = EventLog(self.journal, self.blobs, BUCKET)
        self.sandbox = InProcessSandbox(self.blobs, self.directory)
        self.catalog = MemoryCatalog()
        prices: dict[str, Price] = self.options.get("prices", {})
        self.ports = Ports(
            log=self.log,
            blobs=self.blobs,
            catalog=self.catalog,
            provider=self.model,
            sandbox=self.sandbox,
            completions=Completions(self.model, self.blobs, prices, BUCKET),
            texts=DocumentTexts(self.blobs),
            schemas=JsonSchemas(),
            bucket=BUCKET,
            **self.options,
        )

    async def ask(
        self, question: str = "What is the notice period?", execution_id: str = "exec_1", **changes: Any
    ) -> Run:
        """Answer a question. `changes` are budgets or fields of the execution."""
        return await self.drive(await self.start(question, execution_id, **changes))

    async def start(self, question: str, execution_id: str = "exec_1", **changes: Any) -> Run:
        known = {name for name in changes if name in Execution.__dataclass_fields__}
        budgets = Budgets().merged({name: value for name, value in changes.items() if name not in known})
        execution = Execution(
            execution_id,
            TENANT,
            SESSION,
            question,
            Models(self.model.root_model, self.model.sub_model),
            budgets,
        )
        return await self.log.start(replace(execution, **{name: changes[name] for name in known}))

    async def drive(self, run: Run) -> Run:
        return await answer(run, self.corpus, self.ports)

    async def resume(self, execution_id: str = "exec_1") -> Run:
        return await self.drive(await replayed(self.log, TENANT, execution_id))

    async def events(self, execution_id: str = "exec_1") -> list[Event]:
        return [event for _, event in await self.log.events(TENANT, execution_id)]

    async def reopened(self, count: int, *, with_call_cache: bool) -> Stage:
        """Another worker after a crash: the first `count` appends, and the same model asked afresh."""
        blobs = MemoryBlobs()
        for uri in await self.blobs.list(f"s3://{BUCKET}/"):
            if with_call_cache or "/cache/" not in uri:
                await blobs.put(uri, await self.blobs.get(uri))
        journal = await self.journal.cut(count)
        self.model.requests.clear()
        return Stage(self.corpus, self.model, blobs, self.directory, journal, self.options)


async def stored_document(
    blobs: Blobs, index: int, text: str, pages: Sequence[tuple[int, int]] = ()
) -> Document:
    """A parsed document whose text, structure and offsets are in the blob store."""
    data, base = text.encode(), f"s3://{BUCKET}/parsed/{TENANT}/{SESSION}/doc_{index}"
    meta = {"pages": [{"page_num": n, "start_char": a, "end_char": b} for n, (a, b) in enumerate(pages, 1)]}
    await blobs.put(f"{base}/text.txt", data)
    await blobs.put(f"{base}/meta.json", orjson.dumps(meta))
    sizes = [len(text[at : at + CHECKPOINT].encode()) for at in range(0, len(text), CHECKPOINT)]
    offsets = list(accumulate(sizes[:-1], initial=0)) if sizes else []
    await blobs.put(f"{base}/offsets.u64", struct.pack(f"<{len(offsets)}Q", *offsets))
    return Document(
        doc_id=f"doc_{index}",
        doc_index=index,
        source_name=f"contract-{index}.txt",
        mime_type="text/plain",
        ingest_status=IngestStatus.PARSED,
        text_s3_uri=f"{base}/text.txt",
        meta_s3_uri=f"{base}/meta.json",
        offsets_index_uri=None if text.isascii() else f"{base}/offsets.u64",
        char_length=len(text),
        byte_length=len(data),
        page_count=len(pages),
    )


async def make_stage(
    directory: Path,
    root: Iterable[Line] | Answering,
    sub: Iterable[Line] | Answering | str = (),
    texts: Sequence[str] = (),
    *,
    latency: float = 0.0,
    pages: Sequence[tuple[int, int]] = (),
    **options: Any,
) -> Stage:
    """A stage over these texts, with a model that follows these scripts."""
    blobs = MemoryBlobs()
    documents = [await stored_document(blobs, i, text, pages) for i, text in enumerate(texts)]
    model = ScriptedModel(root, sub, latency=latency)
    corpus = Corpus(TENANT, SESSION, tuple(documents))
    return Stage(corpus, model, blobs, directory, options=options)


def outcome(run: Run) -> Finished:
    """What the run ended with."""
    assert run.finished is not None
    return run.finished


def calls(requests: Iterable[ModelRequest]) -> Counter[tuple[str, str, int]]:
    """What was asked of the model: its name, the question or prompt, and the turn it was asked in."""
    return Counter(
        (
            request.model,
            next(m.content for m in request.messages if m.role == "user").split("\n\nBUDGET LEFT")[0],
            sum(message.role == "assistant" for message in request.messages),
        )
        for request in requests
    )


def last_step(run: Run) -> StepResult:
    """The result of the last step that ended."""
    return next(turn.step for turn in reversed(run.turns) if turn.step is not None)


def subcalls(events: Iterable[Event]) -> list[SubcallResolved]:
    """The sub-calls among some events."""
    return [event for event in events if isinstance(event, SubcallResolved)]


def steps(events: Iterable[Event]) -> list[StepResult]:
    """The step results among some events."""
    return [event.result for event in events if isinstance(event, StepRan)]
