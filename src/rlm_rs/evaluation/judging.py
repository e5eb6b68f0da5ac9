"""The judge: what a judge model is asked, and how its reply becomes a score. No call is made here.

Two metrics, each one call at temperature 0. Answer relevancy: the share of what the question asks that the
answer gives, a part half given counting half, less a quarter where the answer strays. Faithfulness: the share
of the answer's claims that the passages support. A reply that is not just the object asked for is no score.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from rlm_rs.core.model import Message, ModelRequest
from rlm_rs.core.wellformed import well_formed

JudgeMetric = Literal["answer_relevancy", "faithfulness"]

JUDGE_TOKENS = 4096
ADDRESSED = {"yes": 1.0, "partly": 0.5, "no": 0.0}
OFF_TOPIC_FACTOR = 0.75
MAX_PARTS, MAX_CLAIMS = 12, 100

_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n\s*```\s*\Z", re.DOTALL)


class ReplyInvalid(ValueError):
    """A judge's reply is not what was asked for. The message says what is wrong, for the judge to read."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """score: from 0 to 1, None for an answer without claims, which cannot be graded. details: as replied."""

    score: float | None
    details: Mapping[str, Any]


@cache
def instructions(metric: JudgeMetric) -> str:
    """The system message for a metric."""
    return (resources.files(__package__) / "prompts" / f"{metric}.txt").read_text(encoding="utf-8")


def relevancy_request(model: str, question: str, answer: str) -> ModelRequest:
    """What a judge is asked for answer relevancy."""
    return _request(
        model, "answer_relevancy", f"{_tagged('question', question)}\n{_tagged('answer', answer)}"
    )


def faithfulness_request(model: str, question: str, answer: str, passages: Sequence[str]) -> ModelRequest:
    """What a judge is asked for faithfulness to these passages."""
    parts = [_tagged(f"passage {number}", text) for number, text in enumerate(passages, 1)]
    parts += [_tagged("question", question), _tagged("answer", answer)]
    return _request(model, "faithfulness", "\n".join(parts))


def corrected(request: ModelRequest, reply: str, problem: str) -> ModelRequest:
    """The same request once more, after a reply that could not be read."""
    told = f"That is not the JSON object asked for: {problem}. Reply with that object and nothing else."
    again = (Message("assistant", reply or "(empty reply)"), Message("user", told))
    return ModelRequest(
        request.model, (*request.messages, *again), request.max_tokens, request.temperature, request.schema
    )


def read_judgement(metric: JudgeMetric, reply: str) -> Judgement:
    """The judgement in a reply. Raises `ReplyInvalid`; nothing is guessed."""
    return _READERS[metric](_json_object(reply))


def _relevancy(found: Mapping[str, Any]) -> Judgement:
    _only(found, {"parts", "off_topic"})
    parts = _items(found, "parts", {"part", "addressed"}, 1, MAX_PARTS)
    off_topic = found["off_topic"]
    if not isinstance(off_topic, bool):
        raise ReplyInvalid("off_topic must be true or false")
    for part in parts:
        if not isinstance(part["addressed"], str) or part["addressed"] not in ADDRESSED:
            raise ReplyInvalid('addressed must be "yes", "partly" or "no"')
    score = sum(ADDRESSED[part["addressed"]] for part in parts) / len(parts)
    return Judgement(round(score * (OFF_TOPIC_FACTOR if off_topic else 1.0), 6), found)


def _faithfulness(found: Mapping[str, Any]) -> Judgement:
    _only(found, {"claims"})
    claims = _items(found, "claims", {"claim", "supported"}, 0, MAX_CLAIMS)
    for claim in claims:
        if not isinstance(claim["supported"], bool):
            raise ReplyInvalid("supported must be true or false")
    if not claims:
        return Judgement(None, found)
    return Judgement(round(sum(claim["supported"] for claim in claims) / len(claims), 6), found)


_READERS: Mapping[JudgeMetric, Callable[[Mapping[str, Any]], Judgement]] = {
    "answer_relevancy": _relevancy,
    "faithfulness": _faithfulness,
}


def _request(model: str, metric: JudgeMetric, material: str) -> ModelRequest:
    messages = (Message("system", instructions(metric)), Message("user", material))
    return ModelRequest(model, messages, max_tokens=JUDGE_TOKENS, temperature=0.0)


def _tagged(name: str, text: str) -> str:
    closing = f"</{name.split()[0]}>"
    # the material cannot close its own tag
    return "\n".join([f"<{name}>", text.replace(closing, f"< {closing[1:]}"), closing])


def _json_object(reply: str) -> Mapping[str, Any]:
    fenced = _FENCE.match(reply)
    try:
        found = json.loads(fenced[1] if fenced else reply)
    except (ValueError, RecursionError) as error:
        raise ReplyInvalid(f"it is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise ReplyInvalid("it is not a JSON object")
    return found


def _only(found: Mapping[str, Any], names: set[str]) -> None:
    if set(found) != names:
        raise ReplyInvalid(f"it must have {' and '.join(sorted(names))} and nothing else")


def _items(found: Mapping[str, Any], name: str, fields: set[str], least: int, most: int) -> list[Any]:
    items = found[name]
    if not isinstance(items, list) or not least <= len(items) <= most:
        raise ReplyInvalid(f"{name} must be a list of {least} to {most} objects")
    for item in items:
        if not isinstance(item, dict) or set(item) != fields:
            raise ReplyInvalid(f"each of {name} must have {' and '.join(sorted(fields))} and nothing else")
        for field, value in item.items():
            if isinstance(value, str):
                item[field] = well_formed(value)
            elif not isinstance(value, bool):
                raise ReplyInvalid(f"{field} must be text, true or false")
    return items
