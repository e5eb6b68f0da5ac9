"""Awaiting without an event loop: coroutines of one step, run in turns, whose sub-calls are asked together.

A task runs until it awaits a deferred sub-call. When no task can go on, all sub-calls awaited so far are
asked at once, and the tasks go on in the order they were created. Nothing depends on time, so a replay takes
the same course.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rlm_rs.sandbox.limits import BATCH_REQUESTS
from rlm_rs.sandbox.protocol import SubcallRequest, SubcallResult

Ask = Callable[[Sequence[SubcallRequest]], Sequence[SubcallResult]]


@dataclass(frozen=True, slots=True)
class Call:
    """What a tool asks, and how the answers become the value that code gets."""

    requests: tuple[SubcallRequest, ...]
    value_of: Callable[[Sequence[SubcallResult]], Any]


class Deferred:
    """A sub-call that is asked when awaited, together with the others awaited by then.

    Used without `await` it is asked on the spot, so code that forgets to await still gets its answer.
    """

    def __init__(self, call: Call, ask: Ask) -> None:
        self._call = call
        self._ask = ask
        self._settled = False
        self._value: Any = None
        self._error: Exception | None = None

    @property
    def requests(self) -> tuple[SubcallRequest, ...]:
        return self._call.requests

    def settle(self, results: Sequence[SubcallResult]) -> None:
        """Take the answers. An error they make is that of whoever awaits them."""
        self._settled = True
        try:
            self._value = self._call.value_of(results)
        except Exception as error:  # noqa: BLE001  (raised again where the value is asked for)
            self._error = error

    def result(self) -> Any:
        """The value, asked for now if it was not yet."""
        if not self._settled:
            self.settle(self._ask(self.requests))
        if self._error is not None:
            raise self._error
        return self._value

    def __await__(self) -> Generator[Any, None, Any]:
        if not self._settled:
            yield self
        return self.result()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.result(), name)

    def __str__(self) -> str:
        return str(self.result())

    def __repr__(self) -> str:
        return repr(self.result())

    def __format__(self, spec: str) -> str:
        return format(self.result(), spec)

    def __len__(self) -> int:
        return len(self.result())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.result())

    def __getitem__(self, key: Any) -> Any:
        return self.result()[key]

    def __contains__(self, item: Any) -> bool:
        return item in self.result()

    def __add__(self, other: Any) -> Any:
        return self.result() + other

    def __radd__(self, other: Any) -> Any:
        return other + self.result()

    def __eq__(self, other: object) -> bool:
        return bool(self.result() == other)

    def __hash__(self) -> int:
        return hash(self.result())


class Future:
    """A value to come, which tasks can await."""

    def __init__(self) -> None:
        self._done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self.waiting: list[Task] = []

    def done(self) -> bool:
        """Whether the value or an error is there."""
        return self._done

    def cancelled(self) -> bool:
        """Tasks of a step are never cancelled."""
        return False

    def cancel(self, msg: object = None) -> bool:
        """Has no effect, and says so."""
        return False

    def exception(self) -> BaseException | None:
        """The error, if that is what came."""
        return self._error

    def result(self) -> Any:
        """The value. Raises the error instead, or RuntimeError when neither is there yet."""
        if not self._done:
            raise RuntimeError("the result is not there yet; await it")
        if self._error is not None:
            raise self._error
        return self._value

    def set_result(self, value: Any) -> None:
        """Settle with a value."""
        self._value, self._done = value, True

    def set_exception(self, error: BaseException) -> None:
        """Settle with an error."""
        self._error, self._done = error, True

    def __await__(self) -> Generator[Any, None, Any]:
        if not self._done:
            yield self
        return self.result()


class Task(Future):
    """A coroutine on its way."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], name: str | None = None) -> None:
        super().__init__()
        self._coroutine = coroutine
        self._name = name

    def get_name(self) -> str:
        """The name given at creation."""
        return self._name or "task"

    def advance(self) -> Any:
        """Run to the next thing awaited and return it; settle at the end. The step's signals pass through."""
        try:
            return self._coroutine.send(None)
        except StopIteration as stop:
            self.set_result(stop.value)
        except Exception as error:  # noqa: BLE001  (whatever a coroutine raises belongs to whoever awaits it)
            self.set_exception(error)
        return None


class Loop:
    """Runs the coroutines of one step."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._ready: deque[Task] = deque()
        self._parked: list[tuple[Task, Deferred]] = []

    def create_task(self, awaitable: Any, name: str | None = None) -> Task:
        """Start a coroutine, or anything else that can be awaited, as a task."""
        coroutine = awaitable if isinstance(awaitable, Coroutine) else _awaited(awaitable)
        task = Task(coroutine, name)
        self._ready.append(task)
        return task

    def run(self, awaitable: Any) -> Any:
        """Run until the awaitable is settled; returns its value. May be called from inside a task."""
        future = awaitable if isinstance(awaitable, Future) else self.create_task(awaitable)
        while not future.done():
            if self._ready:
                self._advance(self._ready.popleft())
            elif self._parked:
                self._ask_parked()
            else:
                raise RuntimeError("the step awaits something that nothing will ever complete")
        return future.result()

    def _advance(self, task: Task) -> None:
        awaited = task.advance()
        if task.done():
            self._wake(task)
        elif isinstance(awaited, Deferred):
            self._parked.append((task, awaited))
        elif isinstance(awaited, Future) and not awaited.done():
            awaited.waiting.append(task)
        else:
            self._ready.append(task)

    def settle(self, future: Future, value: Any = None) -> None:
        """Give a future its value and let those who await it go on."""
        future.set_result(value)
        self._wake(future)

    def _wake(self, future: Future) -> None:
        self._ready.extend(future.waiting)
        future.waiting.clear()

    def _ask_parked(self) -> None:
        batch = self._parked[: self._batch_size()]
        del self._parked[: len(batch)]
        calls = list({id(deferred): deferred for _, deferred in batch}.values())
        answers = iter(self._ask([request for call in calls for request in call.requests]))
        for call in calls:
            call.settle([next(answers) for _ in call.requests])
        self._ready.extend(task for task, _ in batch)

    def _batch_size(self) -> int:
        asked = 0
        for number, (_, deferred) in enumerate(self._parked):
            asked += len(deferred.requests)
            if asked > BATCH_REQUESTS:
                return max(number, 1)
        return len(self._parked)


async def _awaited(awaitable: Any) -> Any:
    return await awaitable if hasattr(type(awaitable), "__await__") else awaitable
