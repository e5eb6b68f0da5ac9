"""Forty executions of mixed quality: five questions, each answered by eight policies and judged."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import orjson

from rlm_rs.core.execution import Event
from rlm_rs.core.model import ModelReply, ModelRequest
from rlm_rs.orchestrator.evaluating import evaluate, queue_evaluation
from rlm_rs.orchestrator.executions import Choices, NewExecution, go_on, submit
from rlm_rs.orchestrator.lifecycle import (
    NewDocument,
    NewSession,
    create_session,
    ingest_session,
    store_upload,
)
from rlm_rs.orchestrator.ports import Service
from rlm_rs.settings import Settings
from rlm_rs.testing.models import ScriptedModel
from rlm_rs.wiring import Wiring, wire

T = TypeVar("T")

Rlm = Callable[..., subprocess.CompletedProcess[str]]
"""Runs the program over the recorded data."""

TENANT = "local"
TEXTS = ("The lease ends after six months. " * 60, "The rent is 1,200 a month, paid in advance. " * 60)
QUESTIONS = tuple(f"Question {letter}: when does the lease end?" for letter in "ABCDE")

GOOD = "text = context[0][0:33]\nFINAL(f'level 4 {text} ')"


def block(code: str) -> str:
    return f"```repl\n{code}\n```"


POLICIES: tuple[tuple[str, ...], ...] = (
    # read little, answer at once
    (block(GOOD),),
    # look first
    (block("print(context.find('lease', max_hits=3))"), block("FINAL('level 4 ' + context[0][0:60])")),
    # fail, then answer
    (block("print(undefined)"), block("FINAL('level 3 ' + context[0][0:33])")),
    # words without code first
    ("I shall look at the lease.", block("FINAL('level 3 ' + context[0][0:33])")),
    # ask the sub-model again and again, and read nothing
    (block("for n in range(4): print(llm_query(f'guess {n}'))"), block("FINAL('level 2 guess')")),
    # search everything, read everything
    (
        block("hits = [d.find('lease') for d in context]\nprint(context[0][:1500])"),
        block("FINAL('level 1 no')"),
    ),
    # never answer: the budget runs out, and the answer is partial
    (block("print(context[1][0:10])"),),
    # the same program as the first
    (block(GOOD),),
)
STAMPED = re.compile(r"level (\d)")


@dataclass
class Recorded:
    """What was run, and what the model was really sent and said for each execution, in order."""

    wiring: Wiring
    service: Service
    model: ScriptedModel
    data_dir: Path
    ids: list[str] = field(default_factory=list)
    sent: dict[str, list[tuple[ModelRequest, str]]] = field(default_factory=dict)

    runner: asyncio.Runner = field(default_factory=asyncio.Runner)

    def events(self, execution_id: str) -> list[Event]:
        return [event for _, event in self.wait(self.service.ports.log.events(TENANT, execution_id))]

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work gives, in the one event loop of these executions."""
        return self.runner.run(work)

    def close(self) -> None:
        self.wait(self.wiring.close())
        self.runner.close()


def judged(request: ModelRequest) -> str | None:
    """A judge's reply: the answer says itself how good it is, from level 0 to 4."""
    system, asked = request.messages[0].content, request.messages[-1].content
    level = STAMPED.search(asked)
    good = int(level[1]) if level else 0
    if system.startswith("You grade how well"):
        parts = [{"part": str(n), "addressed": "yes" if n < good else "no"} for n in range(4)]
        return orjson.dumps({"parts": parts, "off_topic": False}).decode()
    if system.startswith("You grade whether"):
        claims = [{"claim": str(n), "supported": n < good} for n in range(4)]
        return orjson.dumps({"claims": claims}).decode()
    return None


def playing(recorded: Callable[[], Recorded]) -> Callable[[ModelRequest], str | ModelReply | Exception]:
    """The root model: which policy it plays is for the question's execution to say."""

    def reply(request: ModelRequest) -> str:
        if verdict := judged(request):
            return verdict
        if "documents below" in request.messages[0].content:
            return "level 2, says the baseline"
        current = recorded().ids[-1]
        policy = POLICIES[(len(recorded().ids) - 1) % len(POLICIES)]
        turn = sum(message.role == "assistant" for message in request.messages)
        said = policy[min(turn, len(policy) - 1)]
        recorded().sent.setdefault(current, []).append((request, said))
        return said

    return reply


def record(data_dir: Path) -> Recorded:
    """Run and evaluate all of them, each to its end before the next begins."""
    found: list[Recorded] = []
    model = ScriptedModel(playing(lambda: found[0]), "a summary")
    settings = Settings(
        rlm_data_dir=data_dir, enable_eval_judge=True, model_context_windows_json='{"scripted-root": 100000}'
    )
    wiring = wire(settings, provider=model)
    recorded = Recorded(wiring, wiring.service(), model, data_dir)
    found.append(recorded)
    recorded.wait(asked(recorded))
    return recorded


async def asked(recorded: Recorded) -> None:
    """All questions, by turns over two different sets of documents, so that there is something to split."""
    sessions = [await session(recorded, f"{TEXTS[0]}{number}") for number in range(2)]
    for number, question in enumerate(QUESTIONS):
        for _ in POLICIES:
            await ask(recorded, sessions[number % 2], question)


async def session(recorded: Recorded, text: str) -> str:
    """A session over two documents that is ready."""

    async def chunks(data: bytes) -> AsyncIterator[bytes]:
        yield data

    service = recorded.service
    uris = [
        (await store_upload(TENANT, "doc.txt", chunks(one.encode()), service)).raw_s3_uri
        for one in (text, TEXTS[1])
    ]
    docs = tuple(NewDocument(f"doc-{n}.txt", uri, "text/plain") for n, uri in enumerate(uris))
    view = await create_session(TENANT, NewSession(docs), service)
    await ingest_session(TENANT, view.session.session_id, service)
    return view.session.session_id


async def ask(recorded: Recorded, session_id: str, question: str) -> None:
    """One execution, driven and evaluated as workers do it."""
    service = recorded.service
    choices = Choices(budgets={"max_turns": 3}, options={"reference_answers": ["six months"]})
    run = await submit(TENANT, session_id, NewExecution(question, choices), service)
    execution_id = run.execution.execution_id
    recorded.ids.append(execution_id)
    run, _ = await go_on(TENANT, execution_id, service.ports)
    await queue_evaluation(run, service)
    await evaluate(TENANT, execution_id, service)
