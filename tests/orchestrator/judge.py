"""A model that answers, judges, and gives the baseline, in one script."""

from __future__ import annotations

from collections.abc import Callable

import orjson
from stage import step

from rlm_rs.core.model import ModelReply, ModelRequest
from rlm_rs.testing.models import Answer, ScriptedModel

ANSWER = step("FINAL('It says ' + context[0][0:5])")


def role_of(request: ModelRequest) -> str:
    """What a request is for: `root`, `baseline`, `answer_relevancy` or `faithfulness`."""
    system = request.messages[0].content
    if system.startswith("You grade how well"):
        return "answer_relevancy"
    if system.startswith("You grade whether"):
        return "faithfulness"
    return "baseline" if system.startswith("You answer a question about the documents below") else "root"


def relevancy(*addressed: str) -> str:
    """A judge's reply."""
    parts = [{"part": "p", "addressed": word} for word in addressed]
    return orjson.dumps({"parts": parts, "off_topic": False}).decode()


def faithfulness(*supported: bool) -> str:
    """A judge's reply."""
    return orjson.dumps({"claims": [{"claim": "c", "supported": s} for s in supported]}).decode()


class JudgingModel(ScriptedModel):
    """Plays every model of an execution and of its evaluation by what is asked of it."""

    def __init__(self, **replies: Answer | Callable[[ModelRequest], Answer]) -> None:
        self.replies: dict[str, Answer | Callable[[ModelRequest], Answer]] = {
            "root": ANSWER,
            "baseline": "The baseline's answer is alpha.",
            "answer_relevancy": relevancy("yes", "partly"),
            "faithfulness": faithfulness(True, True, False, True),
            **replies,
        }
        super().__init__(self._reply)

    def _reply(self, request: ModelRequest) -> str | ModelReply | Exception:
        reply = self.replies[role_of(request)]
        return reply(request) if callable(reply) else reply

    def asked(self, role: str) -> list[ModelRequest]:
        """The requests of one role."""
        return [request for request in self.requests if role_of(request) == role]
