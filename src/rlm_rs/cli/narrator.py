"""Telling an execution as it goes: its events in words, one line a turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlm_rs.cli.amounts import between, count, spent
from rlm_rs.cli.screen import Screen, Tone
from rlm_rs.cli.streams import one_line
from rlm_rs.cli.wording import waited_for, what_happened
from rlm_rs.core.budget import Spend
from rlm_rs.core.execution import (
    Event,
    Finished,
    RootReplied,
    Run,
    Started,
    StepRan,
    SubcallResolved,
    Turn,
    fold,
)

QUESTION_CHARS = 60


@dataclass(slots=True)
class _Followed:
    """An execution so far, and what it had spent when its last turn was told."""

    run: Run
    told: Spend = Spend()

    @property
    def is_child(self) -> bool:
        return self.run.execution.parent is not None


class Narrator:
    """Listens to the events of an execution and its children and tells them on a screen.

    execution_id is that of the execution itself, once it has started.
    """

    def __init__(self, screen: Screen, *, verbose: bool = False) -> None:
        self._screen = screen
        self._verbose = verbose
        self._followed: dict[str, _Followed] = {}
        self.execution_id: str | None = None

    def catch_up(self, events: Sequence[Event]) -> None:
        """Begin with an execution that has events already; they are not told again."""
        run = fold(events)
        if run:
            self.execution_id = run.execution.execution_id
            self._followed[self.execution_id] = _Followed(run, run.spend)
            self._tell_next(run)

    def heard(self, execution_id: str, seq: int, event: Event) -> None:
        """One event, as it is recorded."""
        if isinstance(event, Started):
            self._started(event)
        elif followed := self._followed.get(execution_id):
            followed.run = followed.run.apply(event)
            self._tell(followed, event)

    def _started(self, event: Started) -> None:
        followed = _Followed(Run(event.execution))
        self._followed[event.execution.execution_id] = followed
        if not followed.is_child:
            self.execution_id = event.execution.execution_id
            self._tell_next(followed.run)

    def _tell(self, followed: _Followed, event: Event) -> None:
        run = followed.run
        if isinstance(event, Finished):
            self._tell_end(followed, event)
            return
        if isinstance(event, RootReplied | StepRan | SubcallResolved) and not run.code and not run.pending:
            self._tell_turn(followed)
        if not followed.is_child:
            self._tell_next(run)

    def _tell_turn(self, followed: _Followed) -> None:
        run, turn = followed.run, followed.run.turns[-1]
        spend, followed.told = between(followed.told, run.spend), run.spend
        if followed.is_child and not self._verbose:
            return
        failed = turn.reply.problem or (turn.step and turn.step.error)
        label = f"{'child' if followed.is_child else 'turn'} {turn.index + 1}"
        self._screen.line(label, what_happened(turn), spent(spend), "bad" if failed else "")
        if self._verbose:
            tell_whole(self._screen, turn)

    def _tell_end(self, followed: _Followed, end: Finished) -> None:
        run = followed.run
        ended = _ending(end, run)
        tone: Tone
        if followed.is_child:
            question = one_line(run.execution.question, QUESTION_CHARS)
            reason = f": {end.error.message}" if end.error and end.answer is None else ""
            tone = "" if end.status == "COMPLETED" else "bad"
            self._screen.line("child", f"“{question}” {ended}{reason}", spent(run.spend), tone)
            del self._followed[run.execution.execution_id]
            return
        tone = "good" if end.status == "COMPLETED" else "bad"
        self._screen.line("done" if tone == "good" else "ended", ended, spent(run.spend), tone)

    def _tell_next(self, run: Run) -> None:
        if run.finished or run.concluded:
            self._screen.busy("checking the citations")
        elif run.pending:
            done = len(run.turns[-1].subcalls)
            asked = [*(subcall.request for subcall in run.turns[-1].subcalls), *run.pending]
            self._screen.busy(waited_for(asked), done, done + len(run.pending))
        elif run.code:
            self._screen.busy(f"turn {len(run.turns)}: running its code")
        else:
            self._screen.busy(f"turn {len(run.turns) + 1}: asking {run.execution.models.root}")


def tell_whole(screen: Screen, turn: Turn) -> None:
    """A turn's code, output and error."""
    if turn.reply.code:
        screen.block("code", turn.reply.code)
    elif turn.reply.text:
        screen.block("reply", turn.reply.text)
    if turn.step and turn.step.stdout:
        screen.block("output", turn.step.stdout)
    if turn.step and turn.step.error:
        error = turn.step.error
        screen.block(
            "error", "\n".join(part for part in (error.traceback, f"{error.code}: {error.message}") if part)
        )


def _ending(end: Finished, run: Run) -> str:
    turns = count(run.spend.turns, "turn")
    if end.partial:
        return f"{end.status.lower().replace('_', ' ')}: a partial answer after {turns}"
    if end.status == "COMPLETED":
        return f"answered in {turns}"
    return f"{end.status.lower().replace('_', ' ')} after {turns}"
