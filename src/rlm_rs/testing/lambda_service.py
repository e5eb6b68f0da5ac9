"""AWS Lambda on loopback: an Invoke endpoint, and functions that run under the real runtime client.

Each environment of a function is a process of its own, `awslambdaric`, with a Runtime API of its own, and
takes one call at a time; they are started as calls need them, up to a number, and stay warm. Time-outs, ends
of processes, sizes and throttling are answered as AWS answers them.

    async with LambdaService(unpacked_zip) as service:
        client = boto3.client("lambda", endpoint_url=service.endpoint, …)
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from rlm_rs import sandbox
from rlm_rs.sandbox.spawn import ENGINES
from rlm_rs.testing.local_server import LocalServer, answer
from rlm_rs.testing.openai_http import HttpAnswer, HttpRequest

HANDLER = "rlm_rs.sandbox.lambda_function.handler"
INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
RUNTIME = "/2018-06-01/runtime/"
MOST_BYTES = 6 * 1024 * 1024
START_SECONDS = 30.0
SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIDOFTHEFUNCTION",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-function",
    "AWS_SESSION_TOKEN": "token-of-the-function",
}
"""What a function finds in its environment, and a step must not."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an environment made of a call: its payload, and the function's error if it had one."""

    payload: bytes
    error: str | None = None


def _unhandled(kind: str, message: str) -> Outcome:
    body = {"errorType": kind, "errorMessage": f"RequestId: {uuid4()} Error: {message}"}
    return Outcome(json.dumps(body).encode(), "Unhandled")


@dataclass
class Environment:
    """One process of a function and the Runtime API it talks to."""

    service: LambdaService
    folder: Path
    process: asyncio.subprocess.Process | None = None
    waiting: asyncio.Queue[tuple[str, bytes]] = field(default_factory=asyncio.Queue)
    outcome: asyncio.Future[Outcome] | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self, stack: AsyncExitStack) -> None:
        """Start the process."""
        server = await stack.enter_async_context(LocalServer(self._answer))
        stack.push_async_callback(self.end)
        log = stack.enter_context((self.folder / "log").open("wb"))
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "awslambdaric", self.service.handler),
            env=self._variables(server.address),
            cwd=self.service.task_root,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def _variables(self, address: str) -> dict[str, str]:
        root = str(self.service.task_root)
        return {
            "AWS_LAMBDA_RUNTIME_API": address,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_NAME": "function",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "LAMBDA_TASK_ROOT": root,
            "PYTHONPATH": root,
            "PATH": os.environ.get("PATH", ""),
            "TMPDIR": str(self.folder),
            **SECRETS,
            **self.service.variables,
        }

    async def call(self, payload: bytes) -> Outcome:
        """Have the process take a call. Whatever it does, there is an outcome."""
        assert self.process is not None
        self.outcome = asyncio.get_running_loop().create_future()
        await self.waiting.put((str(uuid4()), payload))
        ended = asyncio.ensure_future(self.process.wait())
        both: set[asyncio.Future[Any]] = {self.outcome, ended}
        start = asyncio.ensure_future(self.started.wait())
        await asyncio.wait({*both, start}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        start.cancel()
        await asyncio.wait(both, timeout=self.service.timeout, return_when=asyncio.FIRST_COMPLETED)
        if self.outcome.done():
            ended.cancel()
            return self.outcome.result()
        if ended.done():
            return _unhandled("Runtime.ExitError", f"Runtime exited with error: {_how(self.process)}")
        await self.end()
        return _unhandled("Sandbox.Timedout", f"Task timed out after {self.service.timeout:.2f} seconds")

    @property
    def alive(self) -> bool:
        """Whether it can take another call."""
        return self.process is not None and self.process.returncode is None

    def log(self) -> str:
        """What its process printed."""
        return (self.folder / "log").read_text(errors="replace")

    async def end(self) -> None:
        """End the process and those it started."""
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            await self.process.wait()

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        path = request.path.removeprefix(RUNTIME)
        if path == "invocation/next":
            return await self._next()
        if self.outcome is None or self.outcome.done():
            return answer(400, b"{}")
        if path.endswith("/response"):
            self.outcome.set_result(_bounded(request.body))
        else:  # invocation/…/error or init/error
            self.outcome.set_result(Outcome(request.body, "Unhandled"))
        return answer(202, b'{"status": "OK"}')

    async def _next(self) -> HttpAnswer:
        self.started.set()
        number, payload = await self.waiting.get()
        deadline = int((time.time() + self.service.timeout) * 1000)
        return answer(
            200,
            payload,
            Lambda_Runtime_Aws_Request_Id=number,
            Lambda_Runtime_Deadline_Ms=str(deadline),
            Lambda_Runtime_Invoked_Function_Arn="arn:aws:lambda:eu-central-1:000000000000:function:function",
        )


def _bounded(body: bytes) -> Outcome:
    if len(body) > MOST_BYTES:
        said = "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
        return _unhandled("Function.ResponseSizeTooLarge", said)
    return Outcome(body)


def _how(process: asyncio.subprocess.Process) -> str:
    status = process.returncode or 0
    return f"signal: {signal.strsignal(-status)}" if status < 0 else f"exit status {status}"


@dataclass
class LambdaService:
    """Runs the functions unpacked at `task_root`, whatever name they are called by.

    concurrency: environments at most; more calls at once are throttled. timeout: seconds of one call.
    faults: answers to give in place of the next ones. events: payloads of all calls, in order.
    """

    task_root: Path
    handler: str = HANDLER
    concurrency: int = 4
    timeout: float = 30.0
    variables: Mapping[str, str] = field(default_factory=dict)
    faults: deque[HttpAnswer] = field(default_factory=deque)
    events: list[bytes] = field(default_factory=list)
    environments: list[Environment] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        self._idle: list[Environment] = []
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="rlm-lambda-")))
        server = await self._stack.enter_async_context(LocalServer(self._answer))
        self.endpoint = f"http://{server.address}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        if request.method != "POST" or not INVOKE.fullmatch(request.path):
            return answer(404, b"{}", x_amzn_errortype="ResourceNotFoundException")
        self.events.append(request.body)
        if self.faults:
            return self.faults.popleft()
        if len(request.body) > MOST_BYTES:
            return answer(413, b"{}", x_amzn_errortype="RequestTooLargeException")
        environment = await self._environment()
        if environment is None:
            return throttled()
        outcome = await environment.call(request.body)
        if environment.alive:
            self._idle.append(environment)
        failed = {"X_Amz_Function_Error": outcome.error} if outcome.error else {}
        return answer(200, outcome.payload, **failed)

    async def _environment(self) -> Environment | None:
        """The one that was idle last, or another while there may be more."""
        if self._idle:
            return self._idle.pop()
        if sum(environment.alive for environment in self.environments) >= self.concurrency:
            return None
        folder = self._folder / str(len(self.environments))
        folder.mkdir()
        environment = Environment(self, folder)
        self.environments.append(environment)
        await environment.start(self._stack)
        return environment


def linked_task_root(folder: Path) -> Path:
    """The step program of this installation and its engines, laid out as the function's zip unpacks."""
    package = folder / "rlm_rs"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "sandbox").symlink_to(Path(sandbox.__file__).parent)
    for engine in ENGINES:
        spec = importlib.util.find_spec(engine)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        found = origin.parent if origin.name == "__init__.py" else origin
        (folder / found.name).symlink_to(found)
    return folder


def throttled() -> HttpAnswer:
    """What a call is answered that would be one too many."""
    body = {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded", "message": "Rate Exceeded."}
    return answer(429, json.dumps(body).encode(), x_amzn_errortype="TooManyRequestsException")
