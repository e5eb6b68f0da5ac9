"""Steps that wait in a live child for the answers to their sub-calls."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rlm_rs.runners.nursery import Child
from rlm_rs.sandbox.protocol import StepRequest, SubcallRequest

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Suspended:
    """A child that stopped at `pending`, having been given the answers in `step.results`."""

    child: Child
    step: StepRequest
    pending: tuple[SubcallRequest, ...]
    since: float

    def accepts(self, step: StepRequest) -> bool:
        """Whether `step` is this step with its pending calls answered, and nothing else changed."""
        given = len(self.step.results)
        if step.results[:given] != self.step.results:
            return False
        if replace(step, results=()) != replace(self.step, results=()):
            return False
        answered = {(result.key, result.digest) for result in step.results[given:]}
        return all((request.key, request.digest()) in answered for request in self.pending)


class SuspendedSteps:
    """At most `limit` of them, none older than `max_age_seconds`; the longest waiting goes first.

    A step that was let go loses nothing but time: it runs again with its recorded answers.
    """

    def __init__(self, limit: int, max_age_seconds: float) -> None:
        self._limit = limit
        self._max_age_seconds = max_age_seconds
        self._steps: OrderedDict[Key, Suspended] = OrderedDict()

    def __len__(self) -> int:
        return len(self._steps)

    def put(self, waiting: Suspended) -> None:
        """Keep a step; lets go of those too many or too old."""
        key = (waiting.step.execution_id, waiting.step.turn)
        self.let_go(key)
        self._steps[key] = waiting
        self.expire()
        while len(self._steps) > self._limit:
            self.let_go(next(iter(self._steps)))

    def take(self, step: StepRequest) -> Suspended | None:
        """The waiting child that can go on with `step`; one that waits for anything else is let go."""
        key = (step.execution_id, step.turn)
        waiting = self._steps.get(key)
        if waiting is None:
            return None
        if waiting.child.ended.done() or not waiting.accepts(step):
            self.let_go(key)
            return None
        return self._steps.pop(key)

    def expire(self) -> None:
        """Let go of the steps that have waited too long."""
        oldest_allowed = time.monotonic() - self._max_age_seconds
        for key in [key for key, waiting in self._steps.items() if waiting.since < oldest_allowed]:
            self.let_go(key)

    def seconds_to_expiry(self) -> float | None:
        """Until the longest waiting step is too old; None if none waits."""
        oldest = next(iter(self._steps.values()), None)
        return None if oldest is None else oldest.since + self._max_age_seconds - time.monotonic()

    def drop(self, execution_id: str) -> None:
        """Let go of all steps of one execution."""
        for key in [key for key in self._keys() if key[0] == execution_id]:
            self.let_go(key)

    def clear(self) -> None:
        """Let go of all steps."""
        for key in list(self._keys()):
            self.let_go(key)

    def let_go(self, key: Key) -> None:
        """End one step's child, if it waits here."""
        waiting = self._steps.pop(key, None)
        if waiting is not None:
            waiting.child.release()

    def _keys(self) -> Iterator[Key]:
        return iter(self._steps)
