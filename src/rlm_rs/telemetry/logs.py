"""Logs as one JSON object a line on standard error, with the ids of what is being worked on.

Only names, ids and figures are logged: no prompts, no questions, no document text, no keys.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

import structlog

from rlm_rs.core.execution import Event, Finished, RootReplied, Run, StepRan, SubcallResolved
from rlm_rs.core.records import WorkItem, WorkKind

_SHARED: tuple[Any, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
)
# started as a program, uvicorn gives these handlers of their own, which do not write JSON
_OWN_HANDLERS = ("uvicorn", "uvicorn.error", "uvicorn.access")
# they say per request or connection what the service's own line says already, or less
_QUIET = ("uvicorn.access", "httpx", "httpx2", "openai", "httpcore")


def configure_logging(level: str = "INFO") -> None:
    """Send the logs of this process and of its libraries to standard error as JSON."""
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    out = logging.StreamHandler(sys.stderr)
    out.setFormatter(formatter)
    logging.basicConfig(handlers=[out], level=level, force=True)
    for name in _OWN_HANDLERS:
        theirs = logging.getLogger(name)
        theirs.handlers.clear()
        theirs.propagate = True
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger that takes fields by name: `logger(__name__).info("request", status=200)`."""
    made: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return made


_log = logger(__name__)


def bind(**ids: str | int) -> None:
    """Add ids to every later line of this task."""
    structlog.contextvars.bind_contextvars(**ids)


def bound() -> Mapping[str, Any]:
    """The ids that every line of this task has."""
    return structlog.contextvars.get_contextvars()


def request_id() -> str:
    """The id of the request that this task answers, or of the one that asked for its work; empty for none."""
    return str(bound().get("request_id", ""))


def at_work(item: WorkItem) -> None:
    """Name a work item, and the request that asked for it, in every later line of this task."""
    name = "session_id" if item.kind == WorkKind.INGESTION else "execution_id"
    asked = {"request_id": item.request_id} if item.request_id else {}
    bind(**{"tenant_id": item.tenant_id, name: item.item_id}, **asked)


def recorded(run: Run, event: Event) -> None:
    """One line for a recorded event, and its ids in every later line of this task; a watcher of the log."""
    execution = run.execution
    bind(
        tenant_id=execution.tenant_id,
        session_id=execution.session_id,
        execution_id=execution.execution_id,
        **_turn_of(event),
    )
    _log.info("recorded", type=event.type, seq=run.seq - 1, **_figures_of(event))


def _turn_of(event: Event) -> dict[str, Any]:
    return {"turn": event.turn} if isinstance(event, RootReplied | StepRan | SubcallResolved) else {}


def _figures_of(event: Event) -> dict[str, Any]:
    match event:
        case RootReplied():
            return {"seconds": round(event.seconds, 3)}
        case StepRan():
            code = {"error": event.result.error.code} if event.result.error else {}
            return {"outcome": event.result.status, **code}
        case SubcallResolved():
            return {"kind": event.request.kind, "outcome": event.result.status}
        case Finished():
            return {"status": str(event.status), "elapsed": round(event.elapsed, 3)}
        case _:
            return {}


def unbind() -> None:
    """Forget the ids bound so far."""
    structlog.contextvars.clear_contextvars()
