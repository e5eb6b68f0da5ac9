"""The `lambda` runner: every step in a call of an AWS Lambda function (`sandbox.lambda_handler`).

The function reads documents by links that travel with the call, so that its role needs no permission. A step
suspended at its sub-calls is run again with the recorded answers; what it read is still there on a warm
function.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import orjson

from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import LambdaFailed, SandboxFailed
from rlm_rs.core.ports import Blobs, Links
from rlm_rs.runners import outcomes
from rlm_rs.runners.exchange import ReplyMalformed, encoded
from rlm_rs.runners.lambda_calls import FunctionEnded, FunctionTimedOut, LambdaCalls, ReplyTooLarge
from rlm_rs.runners.nursery import Ended
from rlm_rs.runners.probe import ProbeEnded
from rlm_rs.runners.reply import parse_reply
from rlm_rs.runners.stored_image import StoredImage, StoredImages
from rlm_rs.sandbox.frames import MAX_FRAME_BYTES
from rlm_rs.sandbox.layers import Layers
from rlm_rs.sandbox.payload import PayloadMalformed, packed, unpacked
from rlm_rs.sandbox.protocol import StepLimits, StepRequest, StepResult

EVENT_BYTES = 5_000_000
"""A longer step is handed over as an object. AWS Lambda takes events of up to 6 MB."""
LINK_SLACK_SECONDS = 120.0
"""How much longer than a call its links are good, for calls that have to wait or be repeated."""
LAYERS_SECONDS = 60.0
"""For how long what a function said of its layers is taken to hold."""
ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class LambdaConfig:
    """bucket: where images and long steps are put. timeout_seconds: what one call may take at most.

    running: calls at once. wall_factor, wall_grace_seconds: as in `runners.process.ProcessConfig`.
    """

    bucket: str
    timeout_seconds: float = 120.0
    running: int = 64
    wall_factor: float = 3.0
    wall_grace_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Stored:
    """Where images and long steps are, and how others read them."""

    blobs: Blobs
    links: Links
    images: StoredImages


class LambdaRunner:
    """Implements `core.ports.Sandbox` over a Lambda function."""

    def __init__(self, calls: LambdaCalls, stored: Stored, config: LambdaConfig) -> None:
        self._calls = calls
        self._stored = stored
        self._config = config
        self._slots = asyncio.Semaphore(config.running)
        self._layers: tuple[float, Layers] | None = None
        self._closed = False

    async def run(self, step: StepRequest, corpus: Corpus) -> StepResult:
        """Run a step, from the record where it has one (see `core.ports.Sandbox.run`)."""
        if self._closed:
            raise SandboxFailed(reason="it has been closed")
        async with self._slots, self._carried(step, corpus) as carried:
            for attempt in range(ATTEMPTS):
                try:
                    return await self._attempt(step, corpus, carried)
                except FunctionTimedOut:
                    return outcomes.timed_out(step)
                except ReplyTooLarge:
                    return outcomes.reply_too_long(step)
                except FunctionEnded as error:
                    how = f"its function ended ({error}), {attempt + 1} times"
            return outcomes.crashed(step, how)

    async def drop(self, execution_id: str) -> None:
        """Nothing waits: suspended steps are run again."""

    async def forget(self, tenant_id: str, session_id: str) -> None:
        """Remove the images of a session's documents. Warm functions let go of theirs by themselves."""
        await self._stored.images.remove(tenant_id, session_id)

    async def close(self) -> None:
        """Close the connections; it cannot be used again."""
        self._closed = True
        await self._calls.close()

    async def start(self) -> Layers:
        """Which layers hold in the function. Raises `SandboxFailed` if steps cannot be locked in there."""
        if self._layers is None or time.monotonic() - self._layers[0] > LAYERS_SECONDS:
            await self.probe("outcome = 'works'", StepLimits(seconds=2.0, memory_mb=64))
        if self._layers is None:
            raise self._failed("it does not say what is locked")
        return self._layers[1]

    async def probe(self, source: str, limits: StepLimits) -> str:
        """Run Python in the function's locked child (see `runners.probe.Examined`)."""
        body = orjson.dumps({"code": source, "limits": limits})
        step = StepRequest("probe", 0, source, limits=limits)
        event = {"probe": packed(body), "seconds": self._seconds(step)}
        try:
            reply = self._heard(await self._calls.call(event), step)
        except FunctionTimedOut:
            reply = outcomes.timed_out(step)
        except (FunctionEnded, ReplyTooLarge) as error:
            reply = outcomes.crashed(step, str(error))
        if isinstance(reply, StepResult):
            assert reply.error is not None
            raise ProbeEnded(reply.error.code, reply.error.message)
        return str(orjson.loads(reply)["outcome"])

    async def _attempt(self, step: StepRequest, corpus: Corpus, carried: Mapping[str, Any]) -> StepResult:
        image = await self._linked(await self._stored.images.ensure(corpus))
        event = {"step": carried, "seconds": self._seconds(step), "image": image}
        body = self._heard(await self._calls.call(event), step)
        if isinstance(body, StepResult):
            return body
        try:
            result = parse_reply(body, step, corpus)
        except ReplyMalformed as error:
            return outcomes.malformed(step, str(error))
        return result if result.error is None else replace(result, state=step.state)

    def _seconds(self, step: StepRequest) -> float:
        return step.limits.seconds * self._config.wall_factor + self._config.wall_grace_seconds

    async def _linked(self, image: StoredImage) -> dict[str, Any]:
        """The image as the function reads it. An empty file needs no link."""
        urls = await self._links([uri for uri, _ in image.files])
        files = [{"url": url, "size": size} for url, (_, size) in zip(urls, image.files, strict=True)]
        return {"key": image.key, "tables": image.tables, "files": files}

    async def _links(self, uris: list[str]) -> list[str]:
        seconds = self._config.timeout_seconds + LINK_SLACK_SECONDS
        return list(await self._stored.links.links(uris, seconds))

    @asynccontextmanager
    async def _carried(self, step: StepRequest, corpus: Corpus) -> AsyncIterator[Mapping[str, Any]]:
        """The step as part of an event; a long one is an object for as long as the call takes."""
        body = encoded(step)
        carried = packed(body)
        if sum(map(len, carried.values())) <= EVENT_BYTES:
            yield carried
            return
        name = sha256(body).hexdigest()
        uri = f"s3://{self._config.bucket}/steps/{corpus.tenant_id}/{step.execution_id}/{name}.json"
        await self._stored.blobs.put(uri, body)
        try:
            (url,) = await self._links([uri])
            yield {"url": url, "size": len(body)}
        finally:
            await self._stored.blobs.delete(uri)

    def _heard(self, reply: Mapping[str, Any], step: StepRequest) -> bytes | StepResult:
        """What the child replied, or the failed result that stands for its absence."""
        self._note_layers(reply.get("layers"))
        match reply:
            case {"reply": dict(value)}:
                try:
                    return unpacked(value, MAX_FRAME_BYTES)
                except PayloadMalformed as error:
                    return outcomes.malformed(step, str(error))
            case {"ended": {"status": int(status), "cpu": float(cpu), "peak": int(peak)}}:
                return outcomes.without_reply(step, Ended(status, cpu, peak))
            case {"timed_out": _}:
                return outcomes.timed_out(step)
            case {"refused": str(complaint)}:
                return outcomes.malformed(step, complaint)
            case {"crashed": str(how)}:
                return outcomes.crashed(step, how)
            case {"full": int(limit_bytes)}:
                return outcomes.read_too_much(step, limit_bytes)
            case {"too_large": _}:
                return outcomes.reply_too_long(step)
            case {"unread": {"reason": reason}}:
                raise self._failed(f"a document could not be read: {reason}")
            case {"unavailable": reason}:
                raise self._failed(f"steps cannot be locked in there: {reason}")
        raise self._failed("it replied what no handler of this release does; deploy this release's zip")

    def _note_layers(self, report: object) -> None:
        try:
            if isinstance(report, dict):
                self._layers = (time.monotonic(), Layers.from_dict(report))
        except (TypeError, KeyError):
            raise self._failed("what it says of its layers cannot be read") from None

    def _failed(self, reason: str) -> LambdaFailed:
        return LambdaFailed(function=self._calls.function, reason=reason)
