"""Driving an execution from the command line: progress, events and interruption around the library's work."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rlm_rs.cli.answers import Form, exit_code, say_answer
from rlm_rs.cli.engine import Engine
from rlm_rs.cli.narrator import Narrator
from rlm_rs.cli.options import Shared
from rlm_rs.cli.running import Interrupted
from rlm_rs.cli.screen import Screen
from rlm_rs.cli.streams import is_terminal, one_line, say_json, tell
from rlm_rs.core.answers import Answer, ExecutionFailed
from rlm_rs.core.errors import ProviderFailed
from rlm_rs.core.execution import Event, Started
from rlm_rs.library import RLM
from rlm_rs.orchestrator.event_log import event_data
from rlm_rs.wiring import FAKE, OFFLINE_MODELS, OFFLINE_NOTICE


@dataclass(slots=True)
class Following:
    """One execution being driven: where it is told, in which form its answer is wanted."""

    shared: Shared
    form: Form
    screen: Screen
    narrator: Narrator = field(init=False)

    def __post_init__(self) -> None:
        self.narrator = Narrator(self.screen, verbose=self.shared.verbose)

    def listen(self, engine: Engine) -> None:
        """Tell what this engine records from now on."""
        if isinstance(engine, RLM):
            if engine.wiring.ports.provider.name == FAKE:
                tell(OFFLINE_NOTICE)
        else:
            engine.listen(_tell_offline_server)
        if self.form.as_lines:
            engine.listen(say_event)
        engine.listen(self.narrator.heard)

    async def outcome(self, work: Awaitable[Answer]) -> Answer:
        """The answer; what an execution that failed has is its outcome too."""
        try:
            return await work
        except ExecutionFailed as failed:
            return failed.result

    def conclude(self, answer: Answer) -> int:
        """Give the answer; the exit code."""
        if is_terminal(sys.stdout) and is_terminal(sys.stderr) and not self.form.quiet:
            tell("")
        say_answer(answer, self.form)
        if answer.text is None and not answer.contexts and answer.error:
            tell(f"rlm: {one_line(answer.error.message)}")
        return exit_code(answer)


@contextmanager
def interruptible(following: Following) -> Iterator[None]:
    """Take the screen down at the end, and say after an interruption how to go on."""
    try:
        yield
    except ProviderFailed as error:
        if "execution_id" not in error.details:
            raise
        command = following.shared.resume_command(error.details["execution_id"])
        raise ProviderFailed(f"{error.message} What was done is kept. To go on: {command}") from error
    except Interrupted:
        execution_id = following.narrator.execution_id
        if execution_id is None:
            raise Interrupted("interrupted; nothing was asked yet.") from None
        command = following.shared.resume_command(execution_id)
        if following.shared.server:
            raise Interrupted(f"interrupted; the server goes on. To follow it: {command}") from None
        raise Interrupted(f"interrupted. To go on: {command}") from None
    finally:
        following.screen.close()


def _tell_offline_server(execution_id: str, seq: int, event: Event) -> None:
    if isinstance(event, Started) and not event.execution.parent and event.execution.models == OFFLINE_MODELS:
        tell("The server has no model configured: its offline policy answers, which searches and quotes.")


def say_event(execution_id: str, seq: int, event: Event) -> None:
    """An event as one line of JSON."""
    head: dict[str, Any] = {"execution_id": execution_id, "seq": seq, "type": event.type}
    say_json({**head, **event_data(event)}, indent=None)
