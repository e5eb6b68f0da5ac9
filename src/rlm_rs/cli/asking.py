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
from rlm_rs.cli.following import Following, interruptible
from rlm_rs.cli.options import Shared
from rlm_rs.cli.reporting import check_target, write_report
from rlm_rs.cli.running import run
from rlm_rs.cli.screen import Screen, open_screen
from rlm_rs.cli.streams import is_terminal
from rlm_rs.core.answers import Answer
from rlm_rs.core.corpus import Document
from rlm_rs.core.execution import OutputMode
from rlm_rs.library import RLM, Session
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
    fresh: bool = False
    dry_run: bool = False
    quiet: bool = False
    as_json: bool = False
    jsonl: bool = False
    html: str | None = None

    @property
    def output_mode(self) -> OutputMode:
        """What the execution is to end with."""
        return "CONTEXTS" if self.contexts else "ANSWER"


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
    return following.conclude(result)


async def _asked(request: Request, following: Following) -> Answer | Plan:
    following.screen.busy("starting")
    rlm = RLM(
        root_model=request.root_model,
        sub_model=request.sub_model,
        data_dir=following.shared.data_dir,
        budgets=request.budgets,
        context_shape=request.context_shape,
    )
    async with rlm:
        rlm.check(request.question, output_mode=request.output_mode)
        if request.html:
            check_target(Path(request.html))
        following.listen(rlm)
        session = await _prepared(rlm, request, following.screen)
        if request.dry_run:
            return session.plan(request.question, output_mode=request.output_mode)
        asked = session.aask(request.question, output_mode=request.output_mode)
        answer = await following.outcome(asked)
        if request.html:
            await write_report(rlm, answer.execution_id, Path(request.html))
            following.screen.line("wrote", request.html)
        return answer


async def _prepared(rlm: RLM, request: Request, screen: Screen) -> Session:
    began, parsed = time.monotonic(), False

    def progress(done: int, total: int, document: Document) -> None:
        nonlocal parsed
        parsed = True
        screen.busy("parsing", done, total)

    screen.busy("looking at the files")
    session = await rlm.asession(request.paths, progress=progress, fresh=request.fresh)
    took = seconds(time.monotonic() - began)
    screen.line("parsed" if parsed else "known", _described(session), took if parsed else "parsed before")
    tell_failures(session.documents)
    return session


def _described(session: Session) -> str:
    readable = [document for document in session.documents if document.readable]
    chars = sum(document.char_length for document in readable)
    return f"{count(len(readable), 'document')}, {count(chars, 'character')}"
