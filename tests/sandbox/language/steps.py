"""Builds corpora and runs steps for the tests of this folder."""

from __future__ import annotations

import json
import os
import struct
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlm_rs.sandbox.corpus import MappedCorpus
from rlm_rs.sandbox.executor import ReplayOnly, run_step
from rlm_rs.sandbox.protocol import StepRequest, StepResult, SubcallRequest, SubcallResult
from rlm_rs.sandbox.text import index_of

Reply = Callable[[SubcallRequest], str]


def corpus_of(
    *texts: str, alone: Sequence[int] = (), structures: dict[int, dict[str, Any]] | None = None
) -> MappedCorpus:
    """An image in memory files; the documents in `alone` get a segment of their own."""
    segments: list[bytes] = [b""]
    rows, infos, metas, index = b"", b"", b"", b""
    for number, text in enumerate(texts):
        data = text.encode()
        if number in alone:
            segments.append(b"")
        segment = len(segments) - 1 if number in alone else 0
        info = json.dumps(
            {"doc_id": f"doc_{number}", "name": f"file{number}.txt", "mime_type": "text/plain"}
        ).encode()
        structure = (structures or {}).get(number, {})
        meta = json.dumps(structure).encode()
        entries = b"" if text.isascii() else index_of(text)
        rows += struct.pack(
            "<12Q", segment, len(segments[segment]), len(data), len(text), len(index) // 8, len(entries) // 8,
            len(infos), len(info), len(metas), len(meta), len(structure.get("pages", [])), 0,
        )  # fmt: skip
        segments[segment] += data
        infos, metas, index = infos + info, metas + meta, index + entries
    files = [_memory_file(part) for part in (rows, infos, metas, index, *segments)]
    corpus = MappedCorpus.open(files)
    weakref.finalize(corpus, _close, files)
    return corpus


def _close(files: Sequence[int]) -> None:
    for file in files:
        os.close(file)


def _memory_file(data: bytes) -> int:
    fd = os.memfd_create("image")
    os.write(fd, data)
    return fd


@dataclass
class Scripted:
    """A channel that answers by a function and remembers what was asked, one list per ask."""

    reply: Reply = lambda request: f"re: {request.prompt}"
    asked: list[list[SubcallRequest]] = field(default_factory=list)

    def ask(self, requests: Sequence[SubcallRequest]) -> list[SubcallResult]:
        self.asked.append(list(requests))
        return [answer(request, self.reply) for request in requests]


def answer(request: SubcallRequest, reply: Reply) -> SubcallResult:
    """The reply as a result; one that begins with "!" is an error."""
    text = reply(request)
    if text.startswith("!"):
        return SubcallResult(request.key, request.digest(), "error", text[1:])
    return SubcallResult(request.key, request.digest(), "resolved", text)


def run(
    code: str, *texts: str, channel: Any = None, corpus: MappedCorpus | None = None, **fields: Any
) -> StepResult:
    """Run a step over texts."""
    request = StepRequest("exec_1", fields.pop("turn", 0), code, **fields)
    return run_step(request, corpus or corpus_of(*texts), channel or Scripted())


def replayed(code: str, *texts: str, reply: Reply, **fields: Any) -> tuple[StepResult, int]:
    """Run a step by replay alone until it finishes; also how often it ran."""
    corpus, results, runs = corpus_of(*texts), [], 0
    while True:
        runs += 1
        request = StepRequest("exec_1", 0, code, results=tuple(results), **fields)
        result = run_step(request, corpus, ReplayOnly())
        if result.status == "finished":
            return result, runs
        results += [answer(item, reply) for item in result.requests]


def output(code: str, *texts: str, **fields: Any) -> str:
    """What a step prints; fails if the step does."""
    result = run(code, *texts, **fields)
    assert result.error is None, result.error
    return result.stdout


def failure(code: str, *texts: str, **fields: Any) -> Any:
    """The error of a step that must fail."""
    result = run(code, *texts, **fields)
    assert result.error is not None, result
    return result.error


def next_step(before: StepResult, code: str, *texts: str, **fields: Any) -> StepResult:
    """Run the step that follows one, with its state and variables as the host would send them."""
    kept = json.loads(json.dumps({"state": before.state, "variables": before.variables}, sort_keys=True))
    return run(code, *texts, turn=1, **kept, **fields)
