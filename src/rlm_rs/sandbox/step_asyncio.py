"""The `asyncio` and `concurrent.futures` of step code: its own loop, no threads, no sockets, no time."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from inspect import iscoroutine, iscoroutinefunction
from typing import Any

from rlm_rs.sandbox.awaiting import Future, Loop, Task
from rlm_rs.sandbox.calls import Tool


class CancelledError(BaseException):
    """Never raised here; it exists so that code can name it."""


class Semaphore:
    """Lets so many tasks in at once."""

    def __init__(self, loop: Loop, value: int = 1) -> None:
        self._loop = loop
        self._free = value
        self._queue: list[Future] = []

    def locked(self) -> bool:
        """Whether the next one has to wait."""
        return self._free <= 0

    async def acquire(self) -> bool:
        """Wait for a place."""
        if self._free > 0:
            self._free -= 1
            return True
        turn = Future()
        self._queue.append(turn)
        await turn
        return True

    def release(self) -> None:
        """Give the place to the next one."""
        if self._queue:
            self._loop.settle(self._queue.pop(0))
        else:
            self._free += 1

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, *_error: object) -> None:
        self.release()


class Event:
    """Something that tasks wait for."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._set = Future()

    def is_set(self) -> bool:
        """Whether it happened."""
        return self._set.done()

    def set(self) -> None:
        """Let it happen."""
        if not self._set.done():
            self._loop.settle(self._set)

    def clear(self) -> None:
        """Wait for it anew."""
        self._set = Future()

    async def wait(self) -> bool:
        """Wait until it happened."""
        await self._set
        return True


class TaskGroup:
    """Tasks that are all done when the block is left."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._tasks: list[Task] = []

    async def __aenter__(self) -> TaskGroup:
        return self

    def create_task(self, coroutine: Any, *, name: str | None = None, context: object = None) -> Task:
        """Start a task of the group."""
        self._tasks.append(self._loop.create_task(coroutine, name))
        return self._tasks[-1]

    async def __aexit__(self, kind: object, *_error: object) -> None:
        outcomes = [await _outcome(task) for task in self._tasks]
        errors = [error for error in outcomes if isinstance(error, Exception)]
        if errors and kind is None:
            raise ExceptionGroup("unhandled errors in a TaskGroup", errors)


class Names:
    """Makes the names of `asyncio` over one loop."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def modules(self) -> dict[str, Callable[[], Mapping[str, Any]]]:
        """The modules there are."""
        return {"asyncio": self.asyncio, "concurrent.futures": self.futures}

    def asyncio(self) -> Mapping[str, Any]:
        """The names of `asyncio`."""
        loop = self._loop
        view = _LoopView(self)
        return {
            "CancelledError": CancelledError,
            "Event": lambda: Event(loop),
            "FIRST_COMPLETED": "FIRST_COMPLETED",
            "ALL_COMPLETED": "ALL_COMPLETED",
            "Future": Future,
            "Lock": lambda: Semaphore(loop),
            "Semaphore": lambda value=1: Semaphore(loop, value),
            "BoundedSemaphore": lambda value=1: Semaphore(loop, value),
            "Task": Task,
            "TaskGroup": lambda: TaskGroup(loop),
            "TimeoutError": TimeoutError,
            "as_completed": self.as_completed,
            "create_task": self.create_task,
            "ensure_future": self.ensure,
            "gather": self.gather,
            "get_event_loop": lambda: view,
            "get_running_loop": lambda: view,
            "new_event_loop": lambda: view,
            "set_event_loop": lambda _loop: None,
            "iscoroutine": iscoroutine,
            "iscoroutinefunction": iscoroutinefunction,
            "run": lambda main, *, debug=None: loop.run(main),
            "shield": lambda awaitable: awaitable,
            "sleep": _sleep,
            "timeout": lambda _seconds: contextlib.nullcontext(),
            "to_thread": self.to_thread,
            "wait": self.wait,
            "wait_for": self.wait_for,
        }

    def create_task(self, coroutine: Any, *, name: str | None = None, context: object = None) -> Task:
        """Start a coroutine as a task."""
        return self._loop.create_task(coroutine, name)

    def ensure(self, awaitable: Any) -> Future:
        """The awaitable as a task, started if it is not one yet."""
        return awaitable if isinstance(awaitable, Future) else self._loop.create_task(awaitable)

    def gather(self, *awaitables: Any, return_exceptions: bool = False) -> Task:
        """Start them all; the list of their values, in order."""
        started = [self.ensure(awaitable) for awaitable in awaitables]
        return self._loop.create_task(_gathered(started, return_exceptions))

    def as_completed(self, awaitables: Iterable[Any], *, timeout: float | None = None) -> Iterator[Future]:
        """Start them all; each in the order given."""
        return iter([self.ensure(awaitable) for awaitable in awaitables])

    async def wait(self, awaitables: Iterable[Any], **_options: Any) -> tuple[set[Future], set[Future]]:
        """Start them all and wait for all."""
        started = [self.ensure(awaitable) for awaitable in awaitables]
        for future in started:
            await _outcome(future)
        return set(started), set()

    async def wait_for(self, awaitable: Any, timeout: float | None = None) -> Any:  # noqa: ASYNC109
        """The value; time does not pass, so there is no timeout."""
        return await self.ensure(awaitable)

    async def to_thread(self, function: Any, *args: Any, **options: Any) -> Any:
        """The value of the call; a sub-call waits together with the others."""
        return await self.started(function, *args, **options)

    def started(self, function: Any, *args: Any, **options: Any) -> Future:
        """The call as a future: a sub-call deferred, any other made at once."""
        if isinstance(function, Tool):
            return self._loop.create_task(function.deferred(*args, **options))
        return self._loop.create_task(_called(function, args, options))

    def futures(self) -> Mapping[str, Any]:
        """The names of `concurrent.futures`."""
        pool = lambda *_args, **_options: Executor(self, self._loop)  # noqa: E731
        return {
            "Future": Future,
            "ThreadPoolExecutor": pool,
            "ProcessPoolExecutor": pool,
            "as_completed": lambda futures, timeout=None: list(futures),
            "wait": lambda futures, timeout=None: (set(futures), set()),
        }


class Executor:
    """A pool of no threads: what is submitted runs when a result is asked for, sub-calls together."""

    def __init__(self, names: Names, loop: Loop) -> None:
        self._names = names
        self._loop = loop

    def submit(self, function: Callable[..., Any], /, *args: Any, **options: Any) -> Future:
        """Start a call."""
        return _Submitted(self._loop, self._names.started(function, *args, **options))

    def map(self, function: Callable[..., Any], *iterables: Iterable[Any], **_options: Any) -> Iterator[Any]:
        """The values of the calls, in order."""
        started = [self.submit(function, *args) for args in zip(*iterables, strict=False)]
        return iter([future.result() for future in started])

    def shutdown(self, wait: bool = True, **_options: Any) -> None:
        """There is nothing to shut down."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_error: object) -> None:
        return None


class _Submitted(Future):
    """A future whose result can be asked for outside a coroutine."""

    def __init__(self, loop: Loop, inner: Future) -> None:
        super().__init__()
        self._loop = loop
        self._inner = inner

    def done(self) -> bool:
        return True

    def result(self, timeout: float | None = None) -> Any:
        return self._loop.run(self._inner)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        try:
            self.result()
        except Exception as error:  # noqa: BLE001  (the caller asks for whatever error there is)
            return error
        return None


class _LoopView:
    """What `get_event_loop` returns."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def run_until_complete(self, awaitable: Any) -> Any:
        """Run until the awaitable is settled."""
        return self._names._loop.run(awaitable)

    def create_task(self, coroutine: Any, **options: Any) -> Task:
        """Start a coroutine as a task."""
        return self._names.create_task(coroutine, **options)

    def run_in_executor(self, _executor: object, function: Any, *args: Any) -> Future:
        """Start a call."""
        return self._names.started(function, *args)

    def is_running(self) -> bool:
        """`run_until_complete` can always be called."""
        return False

    def close(self) -> None:
        """There is nothing to close."""


async def _gathered(started: list[Future], return_exceptions: bool) -> list[Any]:
    outcomes = [await _outcome(future) for future in started]
    if return_exceptions:
        return outcomes
    return [future.result() for future in started]


async def _outcome(future: Future) -> Any:
    try:
        return await future
    except Exception as error:  # noqa: BLE001  (an outcome may be any error)
        return error


async def _called(function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    value = function(*args, **options)
    return await value if isinstance(value, Awaitable) else value


async def _sleep(seconds: float = 0, result: Any = None) -> Any:
    if seconds:
        raise RuntimeError(
            "a step cannot sleep; there is nothing to wait for, awaited sub-calls are asked at once"
        )
    return result
