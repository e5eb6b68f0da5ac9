"""Steps on AWS Lambda: the handler reads documents, a locked child of its own runs the code.

The handler trusts its event, which the `lambda` runner wrote, and nothing of the child, whose reply it hands
on unread. The child is the same as everywhere: forked from a zygote that was started with no environment, so
that the function's credentials are not even in its memory, and ended before the handler replies.

event   {"step": packed, "seconds": wall clock, "image": {"key", "tables": [4 lengths], "files": [{"url",
        "size"}]}}; a step too long for an event is {"url", "size"}
        {"probe": packed, "seconds": …}: Python that tries to get out, run with no language layer
reply   {"reply": packed}, or why there is none: {"ended": {status, cpu, peak}}, {"timed_out": true},
        {"refused": text}, {"crashed": text}, {"unread": {"reason", "status"}}, {"full": bytes},
        {"too_large": bytes}, {"unavailable": text}; with each {"layers", "reads", "cold"}
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rlm_rs.sandbox import frames
from rlm_rs.sandbox.image_cache import CacheFull, ImageCache, ImageFile
from rlm_rs.sandbox.lambda_zygote import (
    ENDING_SECONDS,
    Child,
    Ended,
    LambdaZygote,
    ReplyRefused,
    StepProgramFailed,
    ZygoteFailed,
    conversed,
)
from rlm_rs.sandbox.libc import prctl
from rlm_rs.sandbox.lockdown import PR_SET_DUMPABLE
from rlm_rs.sandbox.payload import PayloadMalformed, packed, unpacked
from rlm_rs.sandbox.ranges import Block, RangeReader, ReadFailed, Reads, ReadTimedOut
from rlm_rs.sandbox.spawn import EngineMissing

MARGIN_SECONDS = 1.0
"""What of the function's time is kept for the reply."""
REPLY_BYTES = 5_900_000
"""AWS Lambda refuses a reply of more than 6 MB (6,291,556 bytes)."""
CACHE_SHARE = 0.75
"""The share of the function's storage that documents may take, unless RLM_CACHE_BYTES says how much."""
ATTEMPTS = 2

Reply = dict[str, Any]


class Context(Protocol):
    """What AWS Lambda hands to a handler beside the event."""

    def get_remaining_time_in_millis(self) -> int:
        """Until the function is ended."""


class _NoReply(Exception):
    """Why there is no reply of the child, as the entry that says so."""

    def __init__(self, **entry: Any) -> None:
        super().__init__(str(entry))
        self.entry: Reply = entry


@dataclass(frozen=True, slots=True)
class _Work:
    """What a child is given, and what brings the documents it reads here. By the monotonic clock.

    deadline: for what the child does. latest: for everything.
    """

    kind: bytes
    body: bytes
    descriptors: list[int]
    fetch: Callable[[tuple[int, int, int]], None]
    deadline: float
    latest: float


@dataclass(slots=True)
class Function:
    """What a warm function keeps: its zygote, and what was read for earlier steps."""

    cache: ImageCache
    zygote: LambdaZygote | None = None
    cold: bool = True
    reader: RangeReader = field(default_factory=RangeReader)

    @classmethod
    def started(cls, folder: Path | None = None) -> Function:
        """A function with a zygote, if steps can be locked in here; what is locked is logged."""
        prctl(PR_SET_DUMPABLE, 0)
        folder = folder or Path(tempfile.gettempdir()) / "rlm"
        share = int(shutil.disk_usage(folder.parent).total * CACHE_SHARE)
        function = cls(ImageCache(folder, int(os.environ.get("RLM_CACHE_BYTES", share))))
        with suppress(_NoReply):
            function._live_zygote().prepare()
        return function

    def handle(self, event: Mapping[str, Any], context: Context) -> Reply:
        """Answer one event. Whatever a step does, there is an answer."""
        latest = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS
        self.reader.reads = Reads()
        try:
            reply = _bounded(self._answered(event, latest))
        except _NoReply as none:
            reply = none.entry
        told = {"cold": self.cold, "reads": asdict(self.reader.reads)}
        _log({"outcome": next(iter(reply)), **told})
        self.cold = False
        return {**reply, **told, "layers": self.zygote.layers.to_dict() if self.zygote else None}

    def close(self) -> None:
        """End every process."""
        if self.zygote is not None:
            self.zygote.close()
            self.zygote = None

    def _answered(self, event: Mapping[str, Any], latest: float) -> Reply:
        deadline = min(latest, time.monotonic() + event["seconds"])
        if "probe" in event:
            body = unpacked(event["probe"], frames.MAX_FRAME_BYTES)
            nothing = [os.open(os.devnull, os.O_RDONLY) for _ in range(4)]
            return self._run(_Work(frames.PROBE, body, nothing, _fetch_nothing, deadline, latest))
        image = event["image"]
        files = [ImageFile(file["url"], file["size"]) for file in image["files"]]
        cached = self.cache.image(image["key"], files)
        body = frames.TABLES.pack(*image["tables"]) + self._step(event["step"], latest)

        def fetch(blocks: tuple[int, int, int]) -> None:
            self.cache.fetch(cached, blocks, self.reader, latest)

        return self._run(_Work(frames.FETCHED_STEP, body, cached.opened(), fetch, deadline, latest))

    def _step(self, step: Mapping[str, Any], latest: float) -> bytes:
        """The step's bytes, from the event or from where it says they are."""
        if "url" not in step:
            return unpacked(step, frames.MAX_FRAME_BYTES)
        with tempfile.TemporaryFile() as file, _explained():
            self.reader.read([Block(step["url"], 0, step["size"], step["size"], file.fileno())], latest)
            return file.read()

    def _run(self, work: _Work) -> Reply:
        lost = ""
        try:
            for _ in range(ATTEMPTS):
                try:
                    return self._attempt(work)
                except (ZygoteFailed, TimeoutError) as error:
                    lost = f"its parent process was lost ({error})"
                    self.close()
        finally:
            for descriptor in work.descriptors:
                os.close(descriptor)
        return {"crashed": f"{lost}, {ATTEMPTS} times"}

    def _attempt(self, work: _Work) -> Reply:
        """Run the work in a child. Raises `ZygoteFailed` or TimeoutError if the zygote fails."""
        zygote = self._live_zygote()
        child, patience = zygote.take(), 0.0
        try:
            with _explained():
                reply = _replied(child, work)
            patience = 0.0 if reply else ENDING_SECONDS
        finally:
            ended = zygote.finish(child, patience)
            zygote.prepare()
        return reply or _without_reply(ended)

    def _live_zygote(self) -> LambdaZygote:
        if self.zygote is None:
            try:
                self.zygote = LambdaZygote.started()
            except (ZygoteFailed, EngineMissing, TimeoutError) as error:
                raise _NoReply(unavailable=str(error) or "the zygote does not start") from None
            _log({"locked": self.zygote.layers.in_words()})
        return self.zygote


def _replied(child: Child, work: _Work) -> Reply:
    """What the child replied, packed, or what there is instead; nothing if it ended without a word."""
    try:
        with suppress(ConnectionError):  # how it ended says why
            child.send(work.kind, work.body, work.descriptors, work.deadline)
        return {"reply": packed(conversed(child, work.deadline, work.latest, work.fetch))}
    except ConnectionError:
        return {}
    except TimeoutError:
        return {"timed_out": True}
    except (ReplyRefused, PayloadMalformed) as error:
        return {"refused": str(error)}
    except StepProgramFailed as error:
        return {"crashed": str(error)}


def _without_reply(ended: Ended) -> Reply:
    if ended.by_host:
        return {"refused": "its process closed the reply socket"}
    return {"ended": {"status": ended.status, "cpu": ended.cpu, "peak": ended.peak}}


@contextmanager
def _explained() -> Iterator[None]:
    """What keeps documents from being read, as a `_NoReply`."""
    try:
        yield
    except ReadTimedOut:
        raise _NoReply(timed_out=True) from None
    except ReadFailed as error:
        raise _NoReply(unread={"reason": str(error), "status": error.status}) from None
    except CacheFull as error:
        raise _NoReply(full=error.limit_bytes) from None


def _fetch_nothing(_blocks: tuple[int, int, int]) -> None:
    raise ValueError("there are no documents")


def _bounded(reply: Reply) -> Reply:
    """The reply, or its length if it is more than may be returned."""
    length = sum(map(len, reply["reply"].values())) if "reply" in reply else 0
    return {"too_large": length} if length > REPLY_BYTES else reply


def _log(said: Mapping[str, Any]) -> None:
    """One line for the function's log group."""
    print(json.dumps(said), flush=True)
