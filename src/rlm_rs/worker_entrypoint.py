"""`python -m rlm_rs.worker_entrypoint`: a worker as a process of its own, over the data directory.

WORKER_MODE says what it works on: `ingestion`, `orchestrator`, or `all`. SIGTERM and SIGINT let what is under
way end, for a while, and give the rest back.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from rlm_rs.core.errors import RlmError
from rlm_rs.settings import Settings, load_settings
from rlm_rs.telemetry.logs import configure_logging, logger
from rlm_rs.telemetry.metrics import Metrics
from rlm_rs.wiring import wire

_log = logger(__name__)


async def work(settings: Settings) -> None:
    """Work until the process is told to stop."""
    wiring, metrics, stop = wire(settings), Metrics(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        workers = wiring.workers(wiring.observed_service(metrics))
        port = settings.metrics_port if settings.enable_metrics else None
        with metrics.served(settings.metrics_host, port) as url:
            _log.info("at work", on=[worker.name for worker in workers], metrics=url)
            await asyncio.gather(*(worker.run(stop) for worker in workers))
    finally:
        await wiring.close()


def main() -> int:
    """The process; returns its exit status."""
    configure_logging()
    try:
        asyncio.run(work(load_settings()))
    except RlmError as error:
        print(error.message, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
