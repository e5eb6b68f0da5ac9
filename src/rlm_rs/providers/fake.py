"""The offline policy as a model provider: the default when no key is configured.

It needs no network and costs nothing. As the root model it writes real steps that search, read and quote;
as the sub-model it picks the sentences that answer. It finds and quotes but does not reason.
"""

from __future__ import annotations

import asyncio
import time

from rlm_rs.core.budget import CHARS_PER_TOKEN
from rlm_rs.core.model import ModelReply, ModelRequest, Usage
from rlm_rs.providers.fake_policy import next_reply
from rlm_rs.providers.fake_sub import sub_reply
from rlm_rs.providers.fake_task import is_root, read_task

FAKE_ROOT = "fake-root"
FAKE_SUB = "fake-sub"


class FakeProvider:
    """A deterministic `ModelProvider`: the same request always gets the same reply.

    Any model name is taken; whether root or sub-model is asked shows in the messages. Token counts are a
    quarter of the characters.
    """

    name = "fake"

    async def complete(self, request: ModelRequest) -> ModelReply:
        """A step for a root prompt, quotes for any other."""
        started = time.monotonic()
        text = await asyncio.to_thread(_reply, request)
        return ModelReply(
            text=text,
            model=request.model,
            usage=Usage(_tokens(request.prompt_chars), _tokens(len(text))),
            seconds=time.monotonic() - started,
        )

    async def close(self) -> None:
        """Nothing to release."""


def _reply(request: ModelRequest) -> str:
    if is_root(request.messages):
        return next_reply(read_task(request.messages))
    said = [message.content for message in request.messages if message.role == "user"]
    return sub_reply(said[-1] if said else "", request.schema)


def _tokens(chars: int) -> int:
    return -(-chars // CHARS_PER_TOKEN)
