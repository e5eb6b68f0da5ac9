"""One parsing process as its owner sees it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from asyncio.subprocess import Process
from typing import IO

import orjson

from rlm_rs.parser.failures import DocumentFailed, ParseCrashed, ParseOutOfMemory, ParseTimedOut
from rlm_rs.parser.outcome import ParseOutcome, outcome_from_dict
from rlm_rs.parser.wire import HEADER, MAX_FRAME_BYTES, Job, job_frame

_START = "import sys; pid, *sys.path[:] = sys.argv[1:]; from rlm_rs.parser.child import main; main(int(pid))"
_LOG_TAIL_BYTES = 4096
_DYING_SECONDS = 1.0
_OUT_OF_MEMORY_WORDS = (b"memory allocation", b"bad_alloc", b"out of memory", b"cannot allocate memory")


class Worker:
    """A child process that parses one document at a time. It is dead once `parse` has raised."""

    def __init__(self, process: Process, log: IO[bytes]) -> None:
        self._process = process
        self._log = log
        self._last_words = b""

    @classmethod
    async def start(cls) -> Worker:
        """Start a process with an empty environment; it inherits no descriptors but its pipe and log."""
        log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-c",
            _START,
            str(os.getpid()),
            *_import_paths(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={},
            cwd="/",
            # a Ctrl-C at the terminal is for us to handle, not for it to die of
            process_group=0,
        )
        return cls(process, log)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """False once the process is known to have ended."""
        return self._process.returncode is None

    async def parse(self, job: Job) -> ParseOutcome:
        """Have a document parsed. Raises a `DocumentFailed` when the process did not survive it.

        The process is then gone, as it is when the call is cancelled.
        """
        try:
            async with asyncio.timeout(job.seconds):
                return outcome_from_dict(orjson.loads(await self._exchange(job_frame(job))))
        except TimeoutError:
            await self.kill()
            raise ParseTimedOut(seconds=job.seconds) from None
        except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
            await self._let_die()
            raise self._cause_of_death(job) from error
        except asyncio.CancelledError:
            await self.kill()
            raise

    async def kill(self) -> None:
        """End the process and wait until it is gone. Ending it twice is not an error."""
        if self._process.returncode is None:
            try:
                self._process.kill()
            except ProcessLookupError:
                pass
        await self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        if not self._log.closed:
            self._last_words = self._log_tail()
            self._log.close()

    async def _let_die(self) -> None:
        """Wait a moment for a process whose pipe broke: killing it now would lose what it died of."""
        try:
            async with asyncio.timeout(_DYING_SECONDS):
                await self._process.wait()
        except TimeoutError:
            pass
        await self.kill()

    async def _exchange(self, request: bytes) -> bytes:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise EOFError("the worker has no pipe")
        stdin.write(request)
        await stdin.drain()
        (length,) = HEADER.unpack(await stdout.readexactly(HEADER.size))
        if length > MAX_FRAME_BYTES:
            raise ValueError("the worker's reply is too long")
        return await stdout.readexactly(length)

    def _cause_of_death(self, job: Job) -> DocumentFailed:
        status = self._process.returncode or 0
        if any(words in self._last_words.lower() for words in _OUT_OF_MEMORY_WORDS):
            return ParseOutOfMemory(megabytes=job.limits.memory_bytes >> 20)
        if status == -signal.SIGXCPU:
            return ParseTimedOut(seconds=job.seconds)
        return ParseCrashed(reason=_status_words(status))

    def _log_tail(self) -> bytes:
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), _LOG_TAIL_BYTES, max(0, size - _LOG_TAIL_BYTES))


def _import_paths() -> list[str]:
    """Where this process finds its modules, since an isolated one would not look there."""
    return [os.path.abspath(path) for path in sys.path]


def _status_words(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
