"""A model that plays generated suites without a provider: a root that writes sensible steps, a sub model that
knows what every passage says, or errs as often as it is told to.

model = OracleModel(read_suite(Path("suite")), error_rate=0.1)
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources

from rlm_rs.core.budget import CHARS_PER_TOKEN
from rlm_rs.core.errors import ProviderFailed
from rlm_rs.core.model import ModelReply, ModelRequest, Usage
from rlm_rs.suites.metrics import references_of
from rlm_rs.suites.suite import Case

NOTHING = "NONE"
QUESTION, PASSAGE = "QUESTION: ", "\nPASSAGE:\n"
STEPS = resources.files(__package__) / "oracle_steps"


class OracleModel:
    """A model provider for these cases. error_rate: the share of things it says of passages that are wrong.

    The same request is answered alike every time, whatever is asked before. Token counts are a quarter of the
    characters.
    """

    name = "oracle"
    root_model, sub_model = "oracle-root", "oracle-sub"

    def __init__(self, cases: Sequence[Case], error_rate: float = 0.0, seed: int = 0) -> None:
        self._oracle = Oracle(cases, error_rate, seed)

    async def complete(self, request: ModelRequest) -> ModelReply:
        """What the oracle says. Raises `ProviderFailed` for a question of no case."""
        text = self._oracle.reply([message.content for message in request.messages])
        usage = Usage(request.prompt_chars // CHARS_PER_TOKEN, len(text) // CHARS_PER_TOKEN)
        return ModelReply(text, request.model, usage)

    async def close(self) -> None:
        """Nothing to release."""


class Oracle:
    """Plays both models: a prompt that shows a passage is a sub-call, any other is the root's."""

    def __init__(self, cases: Sequence[Case], error_rate: float, seed: int) -> None:
        self._cases = cases
        self._facts = {case.question: _facts_of(case.question, cases) for case in cases}
        self._error_rate = error_rate
        self._seed = seed

    def reply(self, messages: Sequence[str]) -> str:
        """What it answers to these messages. Raises `ProviderFailed` for a question of no case."""
        question, shown, passage = messages[-1].partition(PASSAGE)
        return self._read(question, passage) if shown else self._step_or_answer("\n".join(messages))

    def _read(self, question: str, passage: str) -> str:
        """What the passage says: a line for each fact found in it, in their order."""
        facts = self._facts.get(question.removeprefix(QUESTION), {})
        found = sorted((passage.find(text), text) for text in facts if text in passage)
        return "\n".join(self._says(text, facts) for _, text in found) or NOTHING

    def _says(self, text: str, facts: Mapping[str, str]) -> str:
        chance = hashlib.sha256(f"{self._seed}/{text}".encode()).digest()
        if int.from_bytes(chance[:4]) >= self._error_rate * 2**32:
            return facts[text]
        others = sorted({said for said in facts.values() if said != facts[text]})
        return others[chance[4] % len(others)] if others else NOTHING

    def _step_or_answer(self, said: str) -> str:
        """The step for the kind of question asked, or the answer where the whole text is in the prompt."""
        asked = [case for case in self._cases if case.question in said]
        if not asked:
            raise _unknown("this question")
        known = [case for case in asked if all(fact in said for fact in case.facts)]
        if known:
            return ", ".join(references_of(known[0].answer))
        case = max(asked, key=lambda case: len(case.question))
        step = (STEPS / f"{case.kind}.txt").read_text(encoding="utf-8")
        return f"```repl\nquestion = {case.question!r}\n{step}```"


def _facts_of(question: str, cases: Sequence[Case]) -> Mapping[str, str]:
    """The facts of every case with that question: which one is asked about, the passage tells."""
    return {text: said for case in cases if case.question == question for text, said in case.facts.items()}


def _unknown(what: str) -> ProviderFailed:
    return ProviderFailed(
        f"The oracle does not know {what}: it plays generated suites.",
        kind="bad_request",
        status=None,
        attempts=1,
        retryable=False,
    )
