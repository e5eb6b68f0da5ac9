"""The parser as a service of its own, called by its URL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen
from uuid import uuid4

from rlm_rs.core.corpus import Failure, Parsed
from rlm_rs.core.errors import ParserFailed

TIMEOUT_SECONDS = 900.0
EXAMINE_SECONDS = 3.0
REPLY_BYTES = 16 << 20


class RemoteStoredParser:
    """`core.ports.StoredParser` over `POST {url}/parse`. timeout: seconds for one document.

    request_id: names the request that a document is parsed for, so that the service's log does too; what it
    leaves empty gets an id of its own.
    """

    def __init__(
        self, url: str, timeout: float = TIMEOUT_SECONDS, request_id: Callable[[], str] = str
    ) -> None:
        self._base = url.rstrip("/")
        self._url = f"{self._base}/parse"
        self._timeout = timeout
        self._request_id = request_id

    async def parse_stored(
        self,
        uri: str,
        source_name: str,
        mime_type: str | None,
        output_prefix: str,
        version_id: str | None = None,
        etag: str | None = None,
    ) -> Parsed | Failure:
        """Have an object parsed. Raises `ParserFailed` if the service cannot be reached or makes no sense."""
        asked = {
            "request_id": self._request_id() or uuid4().hex,
            "source": {
                "s3_uri": uri,
                "s3_version_id": version_id,
                "s3_etag": etag,
                "source_name": source_name,
                "mime_type": mime_type,
            },
            "output": {"s3_prefix": output_prefix},
            "options": {"timeout_seconds": self._timeout},
        }
        try:
            reply = await asyncio.to_thread(self._post, json.dumps(asked).encode())
            return _outcome(reply)
        except (TimeoutError, URLError, HTTPException, OSError, ValueError, KeyError, TypeError) as error:
            reason = f"the parser at {self._url} did not answer as it should: {error}"
            raise ParserFailed(source_name=source_name, reason=reason) from error

    async def examine(self) -> str:
        """That the service answers, in words. Raises `ParserFailed`."""
        try:
            await asyncio.to_thread(self._live)
        except (URLError, HTTPException, OSError, ValueError) as error:
            why = getattr(error, "reason", None) or error
            raise ParserFailed(f"the service at {self._base} does not answer ({why})") from error
        return f"the service at {self._base} answers"

    def _live(self) -> None:
        with urlopen(f"{self._base}/health/live", timeout=EXAMINE_SECONDS):
            pass

    def _post(self, body: bytes) -> dict[str, Any]:
        request = Request(self._url, data=body, headers={"Content-Type": "application/json"})
        try:
            with urlopen(request, timeout=self._timeout) as response:
                return dict(json.loads(response.read(REPLY_BYTES)))
        except HTTPError as error:
            raise ValueError(f"HTTP status {error.code}") from error


def _outcome(reply: dict[str, Any]) -> Parsed | Failure:
    if reply["status"] == "failed":
        return Failure(str(reply["error"]["code"]), str(reply["error"]["message"]))
    stats = reply["stats"]
    return Parsed(
        char_length=int(stats["char_length"]),
        byte_length=int(stats["byte_length"]),
        page_count=int(stats["page_count"]),
        text_checksum=str(reply["text_checksum"]),
        raw_checksum=str(reply["raw_checksum"]),
        mime_type=str(reply["mime_type"]),
        parser_version=str(reply["parser_version"]),
        warnings=tuple(str(warning) for warning in reply["warnings"]),
        has_index=reply["outputs"]["offsets_index_s3_uri"] is not None,
        seconds=float(stats["parse_duration_ms"]) / 1000,
    )
