"""A model that says what a test tells it to: for dry runs and tests without a provider.

model = ScriptedModel(["```repl\\nFINAL('42')\\n```"])
RLM(provider=model).ask("What is the answer?", ["notes.txt"])
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, repeat
from typing import TypeAlias

from rlm_rs.core.errors import ProviderFailed
from rlm_rs.core.model import ModelReply, ModelRequest, Usage

CHARS_PER_TOKEN = 4

Answer: TypeAlias = str | ModelReply | Exception
Answering: TypeAlias = Callable[[ModelRequest], Answer]
Line: TypeAlias = Answer | Answering


class ScriptedModel:
    """A model provider that plays a root model and a sub-model from a script.

    root and sub are each a list of replies given once each in order, or a function from the request to a
    reply, which is asked every time. A reply is a text, a whole `ModelReply`, an exception to raise, or such
    a function. sub may also be one text, for every sub-call. Requests for `sub_model` go to sub, those for
    `root_model` to root; a request for another model fails. latency is in seconds for each reply.

    requests holds every request in order of arrival. Token counts are a quarter of the characters.
    """

    name = "scripted"

    def __init__(
        self,
        root: Iterable[Line] | Answering,
        sub: Iterable[Line] | Answering | str = (),
        *,
        root_model: str = "scripted-root",
        sub_model: str = "scripted-sub",
        latency: float = 0.0,
    ) -> None:
        self.root_model, self.sub_model, self.latency = root_model, sub_model, latency
        self.requests: list[ModelRequest] = []
        self._lines = {sub_model: _endless(sub), root_model: _endless(root)}

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The next reply for the request's model. Raises what the script says, or `ProviderFailed`."""
        started = time.monotonic()
        self.requests.append(request)
        line = self._next_line(request)
        await asyncio.sleep(self.latency)
        answer = line(request) if callable(line) else line
        if isinstance(answer, Exception):
            raise answer
        return _finished(answer, request, time.monotonic() - started)

    async def close(self) -> None:
        """Nothing to release."""

    def _next_line(self, request: ModelRequest) -> Line:
        lines = self._lines.get(request.model)
        if lines is None:
            known = f"{self.root_model!r} and {self.sub_model!r}"
            raise _failed(f"ScriptedModel plays {known}, not {request.model!r}.", "not_found")
        for line in lines:
            return line
        asked = sum(earlier.model == request.model for earlier in self.requests)
        part = "root" if request.model == self.root_model else "sub"
        raise _failed(
            f"ScriptedModel has no reply left: this is request {asked} to {request.model!r}, "
            f"and {part}= has {asked - 1}.",
            "bad_request",
        )


def _endless(lines: Iterable[Line] | Answering | str) -> Iterator[Line]:
    if callable(lines) or isinstance(lines, str):
        return repeat(lines)
    return chain(lines)


def _finished(answer: str | ModelReply, request: ModelRequest, seconds: float) -> ModelReply:
    reply = ModelReply(answer, request.model) if isinstance(answer, str) else answer
    return replace(reply, usage=reply.usage or _usage(request, reply), seconds=seconds)


def _usage(request: ModelRequest, reply: ModelReply) -> Usage:
    thought = _tokens(len(reply.reasoning))
    return Usage(_tokens(request.prompt_chars), _tokens(len(reply.text)) + thought, 0, thought)


def _tokens(chars: int) -> int:
    return -(-chars // CHARS_PER_TOKEN)


def _failed(message: str, kind: str) -> ProviderFailed:
    return ProviderFailed(message, kind=kind, status=None, attempts=1, retryable=False)
