"""Rows for trainers, from traces.

The chat and completion forms are what trainers such as TRL take as they are: `messages`, or `prompt` and
`completion`, for SFT; `prompt`, `chosen` and `rejected`, as messages, for DPO. The seed form has texts:
`input` and `output`, and the same three for DPO.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import orjson

from rlm_rs.core.tokens import estimated_tokens
from rlm_rs.orchestrator.tracing.building import prompt_messages
from rlm_rs.orchestrator.tracing.redaction import is_redacted

Form = Literal["chat", "completion", "seed"]


def usable(trace: Mapping[str, Any]) -> str | None:
    """Why nothing can be learned from an execution, in a few words; None if something can."""
    if is_redacted(trace):
        return "redacted"
    if trace["execution"]["mode"] != "ANSWERER":
        return "steps written by a client"
    return None


def taught_turns(
    trace: Mapping[str, Any], include_failed: bool
) -> Iterator[tuple[dict[str, Any], str | None]]:
    """The turns of an execution, each with why it is not to be learned from, or None."""
    for turn in trace["turns"]:
        yield turn, _why_not(turn, include_failed)


def _why_not(turn: Mapping[str, Any], include_failed: bool) -> str | None:
    if turn["root_prompt"] is None:
        return "prompt not kept"
    if turn["exhausted"]:
        return "best answer after a budget ran out"
    if not turn["repl_code"]:
        return "no code"
    step = turn["step"]
    if not include_failed and (step is None or not step["success"]):
        return "step failed"
    return None


def sft_row(
    trace: Mapping[str, Any], turn: Mapping[str, Any], form: Form, *, whole_reply: bool, reward: float | None
) -> dict[str, Any]:
    """One turn to be learned: what the root model was sent, and the code it wrote."""
    execution, code = trace["execution"], turn["repl_code"]
    said = turn["root_reply"] if whole_reply and code.strip() in turn["root_reply"] else fenced(code)
    metadata = {
        "execution_id": execution["execution_id"],
        "session_id": execution["session_id"],
        "turn_index": turn["turn_index"],
        "root_model": turn["root_model"],
        "root_prompt_version": turn["root_prompt_version"] or "",
        "tokens": estimated_tokens(turn["root_prompt"]) + estimated_tokens(said),
    }
    if form == "seed":
        more = {**metadata, "reward": reward, "metrics": trace["metrics"]}
        return {"input": turn["root_prompt"], "output": said if whole_reply else code, "metadata": more}
    prompt, reply = prompt_messages(turn), [{"role": "assistant", "content": said}]
    if form == "completion":
        return {"prompt": prompt, "completion": reply, "metadata": metadata}
    return {"messages": [*prompt, *reply], "metadata": metadata}


def program(trace: Mapping[str, Any]) -> str:
    """All code an execution ran, as one reply of several blocks."""
    return "\n\n".join(fenced(turn["repl_code"]) for turn in trace["turns"] if turn["repl_code"])


def fenced(code: str) -> str:
    """Code as the root model is asked to write it; the fence is longer than any within."""
    fence = "```"
    while fence in code:
        fence += "`"
    return f"{fence}repl\n{code.rstrip()}\n{fence}"


def first_prompt(trace: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The turn whose prompt an execution began with, if its prompt is known."""
    turns = trace["turns"]
    return turns[0] if turns and turns[0]["root_prompt"] is not None else None


def pair_row(
    chosen: Mapping[str, Any],
    rejected: Mapping[str, Any],
    rewards: tuple[float, float],
    qualities: tuple[float, float],
    form: Form,
) -> dict[str, Any]:
    """Two executions of one question, the better one first; rewards and qualities in that order."""
    turn = chosen["turns"][0]
    texts = (program(chosen), program(rejected))
    metadata = {
        "question": chosen["execution"]["question"],
        "chosen_reward": rewards[0],
        "rejected_reward": rewards[1],
        "chosen_quality": qualities[0],
        "rejected_quality": qualities[1],
        "chosen_execution_id": chosen["execution"]["execution_id"],
        "rejected_execution_id": rejected["execution"]["execution_id"],
        "tokens": estimated_tokens(turn["root_prompt"]) + sum(map(estimated_tokens, texts)),
    }
    if form == "seed":
        prompt: Any = turn["root_prompt"]
        sides: list[Any] = list(texts)
    else:
        prompt = prompt_messages(turn)
        sides = [[{"role": "assistant", "content": text}] for text in texts]
    return {"prompt": prompt, "chosen": sides[0], "rejected": sides[1], "metadata": metadata}


def corpus_key(trace: Mapping[str, Any]) -> str:
    """Which documents an execution was over: sessions over the same texts have the same key."""
    known = [document["text_checksum"] or document["doc_id"] for document in trace["documents"]]
    return hashlib.sha256(orjson.dumps(known)).hexdigest()


def question_key(trace: Mapping[str, Any]) -> str:
    """Which executions can be compared: the same question, over the same texts, asked in the same way."""
    execution = trace["execution"]
    asked = [
        execution[name] for name in ("question", "output_mode", "context_shape", "output_schema", "earlier")
    ]
    return hashlib.sha256(orjson.dumps([corpus_key(trace), asked], option=orjson.OPT_SORT_KEYS)).hexdigest()
