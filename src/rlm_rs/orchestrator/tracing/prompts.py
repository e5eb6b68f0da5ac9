"""The root prompts of an execution as they were sent: rendered again from the journal, and checked.

A prompt is a function of the events before it, of the documents' facts and of two settings. The journal
keeps its SHA-256, so that a rendering that differs (other settings, another version of the templates) is
noticed; then the record of the call itself is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from rlm_rs.core.budget import Budgets, Exhausted
from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import BlobNotFound
from rlm_rs.core.execution import RootReplied, Run
from rlm_rs.core.model import Message
from rlm_rs.core.ports import Blobs
from rlm_rs.core.pricing import context_window
from rlm_rs.core.prompts.render import RootPrompt, best_answer_prompt, prompt_digest, root_prompt
from rlm_rs.orchestrator.ports import Ports

_STATUS_OF_BUDGET = {
    "max_turns": "MAX_TURNS_EXCEEDED",
    "max_total_seconds": "TIMEOUT",
    "max_llm_subcalls": "BUDGET_EXCEEDED",
    "max_total_tokens": "BUDGET_EXCEEDED",
    "max_cost_usd": "BUDGET_EXCEEDED",
    "max_consecutive_errors": "BUDGET_EXCEEDED",
}


async def sent_prompt(
    reply: RootReplied, before: Run, corpus: Corpus, ports: Ports
) -> tuple[Message, ...] | None:
    """The messages that a root reply answered, exactly; None where none were sent or they are lost.

    before: the run that was to be continued.
    """
    if not reply.prompt_chars:
        return None
    for prompt in _rendered(reply, before, corpus, ports):
        if _is_the_one(prompt.messages, reply):
            return prompt.messages
    recorded = await _recorded(reply, ports.blobs)
    return recorded if recorded and _is_the_one(recorded, reply) else None


def _rendered(reply: RootReplied, before: Run, corpus: Corpus, ports: Ports) -> Iterator[RootPrompt]:
    if not corpus.documents:
        # they are gone, and their facts with them
        return
    window = context_window(before.execution.models.root, ports.windows)
    if reply.exhausted is None:
        yield root_prompt(before, corpus, window_tokens=window, state_summary=ports.state_summary)
        return
    for out in _candidates(before.execution.budgets, reply.exhausted):
        yield best_answer_prompt(before, corpus, out, window_tokens=window)


def _candidates(budgets: Budgets, status: str) -> Iterator[Exhausted]:
    """The journal says how the run ended and not at which bound."""
    for budget, ends_with in _STATUS_OF_BUDGET.items():
        limit = getattr(budgets, budget)
        if ends_with == status and limit is not None:
            yield Exhausted(budget, float(limit), status)


def _is_the_one(messages: tuple[Message, ...], reply: RootReplied) -> bool:
    if reply.prompt_sha256:
        return prompt_digest(messages) == reply.prompt_sha256
    # journals from before the digest was kept
    return sum(len(message.content) for message in messages) == reply.prompt_chars


async def _recorded(reply: RootReplied, blobs: Blobs) -> tuple[Message, ...] | None:
    """The messages in the call's record. A record that cannot be read is as good as none."""
    if reply.cached_at is None:
        return None
    try:
        record: dict[str, Any] = orjson.loads(await blobs.get(reply.cached_at))
        return tuple(Message(item["role"], item["content"]) for item in record["request"]["messages"])
    except (BlobNotFound, ValueError, KeyError, TypeError):
        return None
