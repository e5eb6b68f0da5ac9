"""What `rlm ask` does once its options are read."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlm_rs.cli.amounts import count, seconds
from rlm_rs.cli.answers import Form, tell_failures
from rlm_rs.cli.dry_run import say_plan
from rlm_rs.cli.engine import Engine, EngineSession, open_engine
from rlm_rs.cli.following import Following, interruptible
from rlm_rs.cli.options import Shared
from rlm_rs.cli.reporting import check_target, write_report
from rlm_rs.cli.running import run
from rlm_rs.cli.screen import Screen, open_screen
from rlm_rs.cli.streams import is_terminal, one_line, tell
from rlm_rs.core.answers import Answer
from rlm_rs.core.corpus import Document
from rlm_rs.core.errors import RlmError, ValidationFailed
from rlm_rs.library import RLM
from rlm_rs.orchestrator.asks import AskOptions
from rlm_rs.orchestrator.executions import Plan
from rlm_rs.sandbox.protocol import ContextShape


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Everything `rlm ask` was told."""

    question: str
    paths: tuple[str, ...]
    budgets: Mapping[str, Any] = field(default_factory=dict)
    root_model: str | None = None
    sub_model: str | None = None
    context_shape: ContextShape = "documents"
    contexts: bool = False
    search: bool | None = None
    fresh: bool = False
    dry_run: bool = False
    continue_from: str | None = None
    output_schema: Mapping[str, Any] | None = None
    quiet: bool = False
    as_json: bool = False
    jsonl: bool = False
    html: str | None = None

    def options(self, earlier: Answer | None = None) -> AskOptions:
        """How it is to be answered. earlier: what it follows up."""
        return {
            "output_mode": "CONTEXTS" if self.contexts else "ANSWER",
            "continue_from": earlier.execution_id if earlier else None,
            "output_schema": self.output_schema,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer; unreported: why the report that was wanted of it is not there."""

    answer: Answer
    unreported: str | None = None


def ask(request: Request, shared: Shared) -> int:
    """Answer, or show the plan; the exit code."""
    form = Form(request.quiet, request.as_json, request.jsonl, whole=shared.verbose)
    # progress between lines of JSON on one terminal would be neither
    quiet = request.quiet or (request.jsonl and is_terminal(sys.stdout))
    following = Following(shared, form, open_screen(quiet=quiet))
    with interruptible(following):
        result = run(_asked(request, following))
    if isinstance(result, Plan):
        say_plan(result, as_json=request.as_json)
        return 0
    code = following.conclude(result.answer)
    if result.unreported is None:
        return code
    tell(f"rlm: {one_line(result.unreported)}")
    return RlmError.exit_code


async def _asked(request: Request, following: Following) -> Outcome | Plan:
    following.screen.busy("starting")
    engine = open_engine(
        following.shared,
        root_model=request.root_model,
        sub_model=request.sub_model,
        budgets=request.budgets,
        context_shape=request.context_shape,
        search=request.search,
    )
    async with engine:
        engine.check(request.question, **request.options())
        reported = _reported(engine, request.html)
        following.listen(engine)
        earlier = await _earlier(engine, request.continue_from)
        session = await _prepared(engine, request, earlier, following.screen)
        options = request.options(earlier)
        if request.dry_run:
            return await session.aplan(request.question, **options)
        answer = await following.outcome(session.aask(request.question, **options))
        if reported is None or request.html is None:
            return Outcome(answer)
        return Outcome(answer, await _unreported(reported, answer, request.html, following))


def _reported(engine: Engine, target: str | None) -> RLM | None:
    """What can report, if a report is wanted. Raises `ValidationFailed` before anything is paid."""
    if target is None:
        return None
    if not isinstance(engine, RLM):
        raise ValidationFailed(
            reason="--html is for executions of this machine: a server has a page of its own."
        )
    check_target(Path(target))
    return engine


async def _unreported(rlm: RLM, answer: Answer, target: str, following: Following) -> str | None:
    """Write the report; why it could not be written: the answer is there and was paid for all the same."""
    try:
        await write_report(rlm, answer.execution_id, Path(target))
    except (RlmError, OSError) as error:
        why = error.message if isinstance(error, RlmError) else f"{error}."
        again = following.shared.command("view", answer.execution_id, "--html", "FILE")
        return f"{why} The answer is kept. To write its report: {again}"
    following.screen.line("wrote", target)
    return None


async def _earlier(engine: Engine, start: str | None) -> Answer | None:
    return await engine.areport(await engine.afind(start)) if start else None


async def _prepared(
    engine: Engine, request: Request, earlier: Answer | None, screen: Screen
) -> EngineSession:
    began, parsed = time.monotonic(), False

    def progress(done: int, total: int, document: Document) -> None:
        nonlocal parsed
        parsed = True
        screen.busy("parsing", done, total)
        if done == total and request.search:
            screen.busy("indexing")

    if earlier and not request.paths:
        session = await engine.aattach(earlier.session_id)
    else:
        screen.busy("looking at the files")
        session = await engine.asession(request.paths, progress=progress, fresh=request.fresh)
    took = seconds(time.monotonic() - began)
    screen.line("parsed" if parsed else "known", _described(session), took if parsed else "parsed before")
    tell_failures(session.documents)
    return session


def _described(session: EngineSession) -> str:
    readable = [document for document in session.documents if document.readable]
    chars = sum(document.char_length for document in readable)
    return f"{count(len(readable), 'document')}, {count(chars, 'character')}"
