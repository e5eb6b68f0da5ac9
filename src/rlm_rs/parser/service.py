"""The parser as a service: `uvicorn rlm_rs.parser.service:app`: `POST /parse`, `/health/live`, `/metrics`.

It reads and writes the blob store that the settings name and knows neither sessions nor tenants: whoever can
reach it can have any object parsed, so it belongs on a network that only the workers are on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, Field

from rlm_rs.core.corpus import Failure, Parsed
from rlm_rs.core.errors import BlobNotFound, RlmError
from rlm_rs.core.ports import StoredParser
from rlm_rs.parser.outcome import PARSER_VERSION
from rlm_rs.settings import load_settings
from rlm_rs.telemetry.logs import configure_logging, logger
from rlm_rs.telemetry.metrics import CONTENT_TYPE, Metrics
from rlm_rs.wiring import Wiring, wire

MAX_SECONDS = 3600.0
_log = logger(__name__)

Uri = Annotated[str, Field(pattern="^s3://", max_length=2048)]
Mark = Annotated[str, Field(pattern="^[!-~]+$", max_length=1024)]


class Source(BaseModel):
    """What is to be parsed. source_name: the name it goes by, where its key does not say it.

    s3_version_id, s3_etag: which object it must be; another one is a failure.
    """

    s3_uri: Uri
    s3_version_id: Mark | None = None
    s3_etag: Mark | None = None
    source_name: str | None = Field(None, max_length=1024)
    mime_type: str | None = Field(None, max_length=255)


class Output(BaseModel):
    """Where the canonical text goes: everything below this prefix is replaced."""

    s3_prefix: Uri


class Options(BaseModel):
    """How to parse. Structure is always extracted; there is no OCR here, and a warning says so."""

    extract_structure: bool = True
    ocr_enabled: bool = False
    language_hint: str | None = None
    timeout_seconds: float = Field(default=MAX_SECONDS, gt=0, le=MAX_SECONDS)


class ParseRequest(BaseModel):
    """One document to parse."""

    request_id: str = Field(max_length=200)
    source: Source
    output: Output
    options: Options = Options()


def create_app(wired: Callable[[], Wiring] | None = None) -> FastAPI:
    """The application. wired: makes the parts when it starts; by default from the settings."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        wiring, measured = (wired or _from_settings)(), Metrics()
        app.state.parser = measured.measured(wiring.local_parser())
        app.state.metrics = measured if wiring.settings.enable_metrics else None
        try:
            yield
        finally:
            await wiring.close()

    app = FastAPI(title="RLM-RS parser", lifespan=lifespan)
    app.add_api_route("/parse", parse, methods=["POST"])
    app.add_api_route("/health/live", live)
    app.add_api_route("/metrics", metrics)
    return app


def _from_settings() -> Wiring:
    return wire(load_settings())


async def live() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "ok"}


async def metrics(request: Request) -> Response:
    """Prometheus metrics of this process; nothing where ENABLE_METRICS is off."""
    counted: Metrics | None = request.app.state.metrics
    if counted is None:
        return Response(status_code=404)
    return Response(counted.render(), media_type=CONTENT_TYPE)


async def parse(asked: ParseRequest, request: Request) -> dict[str, Any]:
    """Parse an object; a document that cannot be read is an answer with status `failed`."""
    parser: StoredParser = request.app.state.parser
    started = time.monotonic()
    outcome = await _parsed(asked, parser)
    seconds = time.monotonic() - started
    _told(asked, outcome, seconds)
    if isinstance(outcome, Failure):
        error = {"code": outcome.code, "message": outcome.message, "details": {}}
        return _reply(asked, status="failed", error=error)
    prefix = _prefix(asked)
    return _reply(
        asked,
        status="success",
        outputs={
            "text_s3_uri": f"{prefix}text.txt",
            "meta_s3_uri": f"{prefix}meta.json",
            "offsets_s3_uri": f"{prefix}offsets.json",
            "offsets_index_s3_uri": f"{prefix}offsets.u64" if outcome.has_index else None,
        },
        stats={
            "char_length": outcome.char_length,
            "byte_length": outcome.byte_length,
            "page_count": outcome.page_count,
            "parse_duration_ms": round(seconds * 1000),
        },
        text_checksum=outcome.text_checksum,
        raw_checksum=outcome.raw_checksum,
        mime_type=outcome.mime_type,
        warnings=[
            *outcome.warnings,
            *(["OCR was asked for; there is none here"] if asked.options.ocr_enabled else []),
        ],
    )


async def _parsed(asked: ParseRequest, parser: StoredParser) -> Parsed | Failure:
    source = asked.source
    name = source.source_name or source.s3_uri.rsplit("/", 1)[-1]
    try:
        async with asyncio.timeout(asked.options.timeout_seconds):
            return await parser.parse_stored(
                source.s3_uri,
                name,
                source.mime_type,
                _prefix(asked),
                source.s3_version_id,
                source.s3_etag,
            )
    except TimeoutError:
        seconds = asked.options.timeout_seconds
        return Failure(
            "PARSE_TIMEOUT", f"{name} was not parsed within {seconds:g} s. Allow more, or split it."
        )
    except BlobNotFound as error:
        return Failure("SOURCE_NOT_FOUND", f"{error.message} Upload it again.")
    except RlmError as error:
        return Failure(error.code, error.message)


def _told(asked: ParseRequest, outcome: Parsed | Failure, seconds: float) -> None:
    """One line for a document: where its text went, which names tenant, session and document."""
    if isinstance(outcome, Failure):
        found: dict[str, Any] = {"status": "failed", "error": outcome.code}
    else:
        found = {"status": "success", "bytes": outcome.byte_length, "pages": outcome.page_count}
    _log.info(
        "parsed", request_id=asked.request_id, output=_prefix(asked), seconds=round(seconds, 3), **found
    )


def _prefix(asked: ParseRequest) -> str:
    return asked.output.s3_prefix.rstrip("/") + "/"


def _reply(asked: ParseRequest, **fields: Any) -> dict[str, Any]:
    return {"request_id": asked.request_id, "parser_version": PARSER_VERSION, **fields}


def __getattr__(name: str) -> FastAPI:
    """`app`, made when a server asks for it: what that server then logs is JSON from its first line on."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    configure_logging()
    app = globals()["app"] = create_app()
    return app
