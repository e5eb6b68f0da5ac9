"""A few bounded child processes that parse documents: whatever a document does, only it fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rlm_rs.core.corpus import Failure, Parsed
from rlm_rs.parser.failures import DocumentFailed
from rlm_rs.parser.outcome import DEFAULT_LIMITS, PARSER_VERSION, ParseLimits, ParseOutcome
from rlm_rs.parser.parse import remove_outputs
from rlm_rs.parser.wire import Job
from rlm_rs.parser.worker import Worker

# A heap that once grew large stays fragmented; such a process is replaced.
_RETIRE_SHARE = 0.5


class ParserPool:
    """Parses documents in up to `workers` processes, started when first needed.

    Belongs to the event loop it is first used in. Close it, or leave it as a context manager.
    """

    version = PARSER_VERSION

    def __init__(self, workers: int = 2, limits: ParseLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._slots = asyncio.Semaphore(workers)
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """Process ids of the workers alive, for diagnosis."""
        return tuple(worker.pid for worker in (*self._idle, *self._busy))

    async def parse(
        self, source_path: Path, source_name: str, mime_type: str | None, output_dir: Path
    ) -> ParseOutcome:
        """Parse a file into `output_dir`, as `parse_file` does; a `Failure` is of this document only."""
        job = _job(source_path, source_name, mime_type, output_dir, self._limits)
        async with self._slots:
            worker = await self._idle_or_new()
            return await self._parse_with(worker, job)

    async def close(self) -> None:
        """End all workers; documents being parsed fail."""
        workers = [*self._idle, *self._busy]
        self._idle.clear()
        self._busy.clear()
        await asyncio.gather(*(worker.kill() for worker in workers))

    async def __aenter__(self) -> ParserPool:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def _idle_or_new(self) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive:
                return worker
            await worker.kill()
        return await Worker.start()

    async def _parse_with(self, worker: Worker, job: Job) -> ParseOutcome:
        self._busy.add(worker)
        try:
            outcome = await worker.parse(job)
        except DocumentFailed as error:
            remove_outputs(job.output_dir)
            return error.failure()
        finally:
            self._busy.discard(worker)
        await self._keep_or_retire(worker, outcome)
        return outcome

    async def _keep_or_retire(self, worker: Worker, outcome: ParseOutcome) -> None:
        if self._is_spent(outcome):
            await worker.kill()
        else:
            self._idle.append(worker)

    def _is_spent(self, outcome: ParseOutcome) -> bool:
        if isinstance(outcome, Failure):
            return outcome.code in ("PARSE_MEMORY", "PARSE_CRASHED")
        return (
            isinstance(outcome, Parsed)
            and outcome.peak_memory_bytes > self._limits.memory_bytes * _RETIRE_SHARE
        )


def _job(path: Path, name: str, mime_type: str | None, output_dir: Path, limits: ParseLimits) -> Job:
    """Workers have another working directory, so their paths are absolute."""
    return Job(
        path.absolute(), name, mime_type, output_dir.absolute(), limits.seconds_for(_size(path)), limits
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
